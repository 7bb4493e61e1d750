package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/internal/remedy"
)

func (a *app) pluginCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "List and test the plugins, which hold keys in other stores",
		Long: `A plugin is a program countersign-backend-NAME in an absolute folder of PATH, or the
program that the configuration names in [plugin.NAME]. Its keys are plugin:NAME:KEY.`,
		Args: subcommand,
		RunE: showHelp,
	}
	cmd.AddCommand(a.pluginListCmd(), a.pluginTestCmd())
	return cmd
}

func (a *app) pluginListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the plugins, where they were found, and what is wrong with them",
		Long: `List the plugins and start each of them once, so that it describes itself. A plugin
that cannot be used is listed with the reason.`,
		Args: checkArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listPlugins(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object with plugins: see countersign help plugin-protocol")
	return cmd
}

// A listedPlugin is a line of plugin list. Its JSON form does not change;
// docs/plugin-protocol.md describes it.
type listedPlugin struct {
	Name        string   `json:"name"`
	Program     string   `json:"program"`
	Found       string   `json:"found"` // "configuration" or "PATH"
	Description string   `json:"description,omitempty"`
	Ops         []string `json:"ops,omitempty"`
	Problem     string   `json:"problem,omitempty"`
	Do          string   `json:"do,omitempty"`
}

func (a *app) listPlugins(ctx context.Context, asJSON bool) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	listed := []listedPlugin{}
	for _, f := range keys.Plugin.Find() {
		listed = append(listed, describePlugin(ctx, keys.Plugin, f))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if asJSON {
		return a.printJSON(struct {
			Plugins []listedPlugin `json:"plugins"`
		}{listed})
	}
	if len(listed) == 0 {
		a.note("There is no plugin: no absolute folder of PATH has a program countersign-backend-NAME,\nand the configuration has no [plugin.NAME] with a program.\n")
		return nil
	}
	return a.printPlugins(listed)
}

func describePlugin(ctx context.Context, b *plugin.Backend, f plugin.Found) listedPlugin {
	l := listedPlugin{Name: f.Name, Program: f.Path, Found: "PATH"}
	if f.Configured {
		l.Found = "configuration"
	}
	d, err := plugin.Description{}, f.Err
	if err == nil {
		d, err = b.Describe(ctx, f.Name)
	}
	if err != nil {
		l.Problem, l.Do = err.Error(), remedy.Of(err)
	}
	l.Description, l.Ops = d.Name, d.Ops
	return l
}

func (a *app) printPlugins(listed []listedPlugin) error {
	rows := [][]string{{"NAME", "PROGRAM", "FOUND IN", "DESCRIPTION", "ANSWERS"}}
	for _, l := range listed {
		answers := strings.Join(l.Ops, " ")
		if l.Problem != "" {
			answers = "see below"
		}
		rows = append(rows, []string{l.Name, l.Program, l.Found, cmp.Or(l.Description, "-"), cmp.Or(answers, "-")})
	}
	err := a.printTable(2, rows)
	for _, l := range listed {
		if l.Problem != "" {
			err = errors.Join(err, a.print("\n%s: %s\n", l.Name, l.Problem))
		}
		if l.Do != "" {
			err = errors.Join(err, a.print("  %s\n", l.Do))
		}
	}
	return err
}

// hasAll reports whether a plugin answers all of these operations.
func hasAll(d plugin.Description, ops ...string) bool {
	return !slices.ContainsFunc(ops, func(op string) bool { return !slices.Contains(d.Ops, op) })
}

// lacks returns the abilities that a plugin does not have, by the names of package
// signer.
func lacks(d plugin.Description) []string {
	var names []string
	for op, name := range map[string]string{"generate": "Generator", "list": "Lister", "delete": "Deleter"} {
		if !hasAll(d, op) {
			names = append(names, name)
		}
	}
	return names
}
