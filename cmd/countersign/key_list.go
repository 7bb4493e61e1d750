package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys in the stores, and those that would be used here",
		Long: `List the keys of every store that can name them, and those that would be used
here. It never asks for anything: of a key or a store that is locked, it says so.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listKeys(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object with keys")
	return cmd
}

func (a *app) listKeys(ctx context.Context, asJSON bool) error {
	if a.session.err != nil {
		return a.session.err
	}
	choice := a.session.config.Choose(config.Here(a.key))
	l := newLister(a.quietBackends())
	l.addStores(ctx)
	if err := l.addChosen(ctx, choice); err != nil {
		return err
	}
	var err error
	if asJSON {
		err = a.printJSON(struct {
			Keys []listedKey `json:"keys"`
		}{l.sorted()})
	} else {
		err = a.printKeys(l.sorted())
	}
	return cmp.Or(err, a.storeFailures(l.failed, choice))
}

// printKeys prints nothing that a terminal obeys: a comment may come from anyone.
func (a *app) printKeys(keys []listedKey) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tFINGERPRINT\tTYPE\tCOMMENT\tNOTE")
	for _, k := range keys {
		fields := []string{k.Ref, k.Fingerprint, k.Type, k.Comment, k.Reason}
		for i, field := range fields {
			fields[i] = cmp.Or(printable.Text(field), "-")
		}
		fmt.Fprintln(w, strings.Join(fields, "\t"))
	}
	return w.Flush()
}

// storeFailures leaves out the stores that are not here: only those who
// configured a key of theirs are told, and it is no failure.
func (a *app) storeFailures(failed map[string]error, choice config.Choice) error {
	var errs []error
	for scheme, err := range failed {
		switch {
		case !errors.Is(err, signer.ErrUnavailable):
			errs = append(errs, err)
		case isConfigured(scheme, choice):
			a.note("countersign: %v\n", err)
		}
	}
	return errors.Join(errs...)
}

func isConfigured(scheme string, choice config.Choice) bool {
	for _, candidate := range choice.Candidates {
		if candidate.Source.Level != config.FromBuiltIn && strings.HasPrefix(candidate.Ref, scheme+":") {
			return true
		}
	}
	return false
}
