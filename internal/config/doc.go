// Package config reads the settings of the server: those of the system, the
// user's $CODEX_HOME/config.toml, the profile that it selects, those of a project
// that the user trusts, -c overrides of the command line, and the config member of
// thread/start.
//
// [Load] never fails. What cannot be read becomes a [Problem] with the place in
// the file, and all other settings hold. The one exception to "the rest holds"
// are the settings that restrict: which workspace may log in, how, and what
// commands may do. Where such a setting cannot be read, or may stand in a part
// of the file that cannot be read, its [Restricted] carries an error, and
// whoever acts on the setting refuses instead of acting without it.
//
// # Order
//
// From weak to strong: built-in default, the system's file, the user's, the
// project's from its root down, the selected profile, -c overrides, thread/start
// overrides. A project's file counts only where the user trusts its folder, and
// never for what [Config.In] keeps from it. The reference lets a profile
// win over an override of the same key; here the more explicit word wins.
//
// # Files
//
// parse.go turns TOML into a tree that knows byte positions (tree.go) and goes
// on after syntax errors (resync.go). override.go turns overrides into such
// trees. reader.go takes typed values out of the layers, restrict.go those that
// restrict, provider.go the model providers, mcp.go the MCP servers, skills.go the
// rules about skills, requirements.go the bounds of an administrator; layers.go
// stacks the files, project.go finds those of a project, load.go puts all together.
//
// store.go has the handlers of the config methods. view.go tells the settings as
// config/read does, with value.go for their JSON and their versions. A write
// (edit.go) makes a new tree; document.go turns the difference of the two trees
// into splices of the file's text, with write.go for values as TOML.
//
// The package knows neither threads nor accounts. A [Config] is immutable, a
// [Store] keeps nothing but a lock for its writes; both are safe for concurrent
// use. Problems and errors name keys and places, never values, because a value
// may be a secret. [Config.Describe] alone tells values.
package config
