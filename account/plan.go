package account

import (
	"slices"

	"app-server/protocol"
)

// knownPlans are the plans of the wire's enum PlanType, 0.125.0.
var knownPlans = []string{
	"free", "go", "plus", "pro", "prolite", "team",
	"self_serve_business_usage_based", "business",
	"enterprise_cbp_usage_based", "enterprise", "edu",
}

// WirePlan maps the name of a plan to the wire's enum. Names are compared as
// they are: the reference reads "PRO" as unknown too. A name that the enum
// lacks, the empty one included, becomes unknown.
func WirePlan(plan string) protocol.PlanType {
	if slices.Contains(knownPlans, plan) {
		return protocol.PlanType(plan)
	}
	return protocol.PlanUnknown
}
