package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/doctor"
)

func (a *app) whoamiCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "whoami [URL]",
		SuggestFor: []string{"who", "id", "status", "which"},
		Short:      "Tell which key is used, where it is from, and why",
		Long: `Tell which key is used for URL, or where no registry has its own: its fingerprint,
its public half, where it is written to use it, and what was passed over. It
signs nothing.`,
		Example: "  countersign whoami\n  countersign whoami https://registry.example.com",
		Args:    checkArguments,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.whoami(cmd.Context(), args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the explanation as an object: see countersign help configuration")
	return cmd
}

func (a *app) whoami(ctx context.Context, args []string, asJSON bool) error {
	query, err := a.query(args)
	if err != nil {
		return err
	}
	c, keys, err := a.load()
	if err != nil {
		return err
	}
	_, e, err := c.Choose(query).Open(ctx, keys)
	if err == nil {
		a.warnOf(doctor.CheckKeyFile(keys, e.Tried[len(e.Tried)-1].Ref))
	}
	if asJSON {
		return cmp.Or(err, a.printJSON(e))
	}
	return cmp.Or(err, a.printExplanation(e))
}

// query asks for the key of the registry at the URL in args, if there is one.
func (a *app) query(args []string) (config.Query, error) {
	query := config.Here(a.key)
	if len(args) == 0 {
		return query, nil
	}
	registry, err := parseURL(args[0])
	query.Registry = registry
	return query, err
}

// printExplanation starts with the key, as "key show" does. The references are in the
// order in which they were tried.
func (a *app) printExplanation(e config.Explanation) error {
	var rows [][]string
	if e.Registry != "" {
		rows = append(rows, []string{"for", e.Registry})
	}
	for _, t := range e.Tried {
		rows = append(rows, []string{string(t.Outcome), t.String()})
		switch {
		case t.Outcome != config.Taken:
			rows = append(rows, []string{"", t.Reason})
		case e.Purposes != nil:
			rows = append(rows, []string{"signs only", joinPurposes(e.Purposes)})
		}
	}
	if e.PublicKey != "" {
		if err := a.print("%s\n%s\n\n", e.Fingerprint, e.PublicKey); err != nil {
			return err
		}
	}
	return a.printTable(3, rows)
}

// joinPurposes returns the purposes of a limited key as people read them.
func joinPurposes(purposes []guard.Purpose) string {
	var names []string
	for _, p := range purposes {
		names = append(names, string(p))
	}
	return cmp.Or(strings.Join(names, ", "), "nothing")
}
