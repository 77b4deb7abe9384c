// Package skills finds the SKILL.md files of the user and of a project, and
// reads what their front matter says about them.
//
// # Where
//
// In the order in which they are listed:
//
//   - repo: .agents/skills and .codex/skills of each folder from the project's
//     root down to the working directory;
//   - user: $CODEX_HOME/skills and .agents/skills of the user's home, and the
//     folders that a parent names;
//   - system: $CODEX_HOME/skills/.system, which the reference fills.
//
// A folder that holds a SKILL.md is a skill; links to folders are followed. A
// file that is reached twice is listed once, as the user's rather than a
// project's.
//
// # Files
//
// find.go walks the folders, front.go reads a file, list.go is the handler of
// skills/list. The package keeps no state: skills are read at each call, and a
// file that cannot be used becomes an error beside the others. It knows neither
// threads nor settings.
package skills
