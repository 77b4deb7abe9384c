package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// filterKeys are the settings of a filter that make git run a program when it
// compares files, with what stands for "none".
var filterKeys = map[string]string{"clean": "", "process": "", "required": "false"}

// ownFilters returns settings that give every filter which the repository itself
// configures the programs that the user's configuration names for it, or none: a
// repository may have come from anywhere, and attributes in its files decide
// which filters are used.
func (g runner) ownFilters(ctx context.Context) ([]string, error) {
	out, err := g.run(ctx, "config", "--includes", "--show-scope", "--null", "--get-regexp", `^filter\..`)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil, nil // there are none
	} else if err != nil {
		return nil, fmt.Errorf("filters: %w", err)
	}
	users, all := map[string]string{}, map[string]bool{} // by the whole key
	var foreign []string                                 // filters, "filter.NAME"
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for pair := range slices.Chunk(fields, 2) {
		if len(pair) < 2 {
			return nil, errors.New("filters: git printed a scope without a setting")
		}
		key, value, _ := strings.Cut(pair[1], "\n")
		all[key] = true
		switch end := strings.LastIndexByte(key, '.'); {
		case pair[0] == "system" || pair[0] == "global":
			users[key] = value
		case pair[0] == "command": // ours
		case strings.Contains(key, "="):
			// -c would take a part of the name for the value.
			return nil, errors.New("the repository configures a filter whose name holds an equals sign")
		case !slices.Contains(foreign, key[:end]):
			foreign = append(foreign, key[:end])
		}
	}
	var settings []string
	for _, filter := range foreign {
		for name, none := range filterKeys {
			key := filter + "." + name
			if !all[key] {
				continue // an empty process would hide the user's clean
			}
			if value, ok := users[key]; ok {
				none = value
			}
			settings = append(settings, key+"="+none)
		}
	}
	return settings, nil
}
