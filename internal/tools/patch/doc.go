// Package patch reads, plans, applies and shows the patches that a model
// writes in the "*** Begin Patch" form.
//
// A patch goes through four steps, and each can be stopped between:
//
//	Find    is this command really an apply_patch call?    -> Call
//	Parse   text of the patch -> Patch, or a *ParseError that names a line
//	Plan    Patch + View + folder -> Plan: every file's old and new content,
//	        computed without writing anything, or a *PlanError for the model
//	Apply   Plan -> files, all of them or none
//
// Between Plan and Apply the caller decides whether the patch may be applied:
// Plan.Touched lists the real paths (symlinks resolved) that Apply will write
// or remove. Apply writes these and no others: it opens each folder, makes sure
// that it is the folder that was resolved, and works inside it by plain names,
// so that a symlink put in its way after the check leads nowhere.
//
// A Tracker gathers the plans of a turn and renders one git diff of them.
//
// The package knows files and text only: no items, approvals or sandbox
// policies.
package patch
