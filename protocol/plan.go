package protocol

import (
	"slices"
	"strings"
)

// knownPlans are the plans of the wire's enum PlanType, 0.125.0.
var knownPlans = []PlanType{
	"free", "go", "plus", "pro", "prolite", "team",
	"self_serve_business_usage_based", "business",
	"enterprise_cbp_usage_based", "enterprise", "edu",
}

// WirePlan maps the name of a plan to the wire's enum. Names are compared as
// they are: the reference reads the claim "PRO" as unknown too. A name that the enum
// lacks, the empty one included, becomes unknown, so that a new plan never
// makes an answer undecodable.
func WirePlan(plan string) PlanType {
	switch plan {
	case "hc":
		return "enterprise"
	case "education":
		return "edu"
	}
	if slices.Contains(knownPlans, PlanType(plan)) {
		return PlanType(plan)
	}
	return PlanUnknown
}

// DeclaredPlan is the name in a token's claims of the plan that a parent declares,
// who may write it in any case.
func DeclaredPlan(plan string) string { return strings.ToLower(plan) }
