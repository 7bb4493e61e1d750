package main

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "list",
		SuggestFor: []string{"ls", "ll", "dir"},
		Short:      "List the keys in the stores, and those that would be used here",
		Long: `List the keys of every store that can name them, and those that would be used
here. It never asks for anything: of a key or a store that is locked, it says so.`,
		Args: checkArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listKeys(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object with keys: see countersign help keys")
	return cmd
}

func (a *app) listKeys(ctx context.Context, asJSON bool) error {
	if a.session.err != nil {
		return a.session.err
	}
	choice := a.session.config.Choose(config.Here(a.key))
	l := newLister(a.session.config, a.quietBackends())
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

func (a *app) printKeys(keys []listedKey) error {
	rows := [][]string{{"KEY", "FINGERPRINT", "TYPE", "COMMENT", "NOTE"}}
	for _, k := range keys {
		notes := k.Reason
		if k.Purposes != nil {
			notes = strings.TrimPrefix(notes+"; signs only "+joinPurposes(k.Purposes), "; ")
		}
		row := []string{k.Ref, k.Fingerprint, k.Type, k.Comment, notes}
		for i, field := range row {
			row[i] = cmp.Or(field, "-")
		}
		rows = append(rows, row)
	}
	return a.printTable(2, rows)
}

// storeFailures leaves out the stores that this machine does not have. Only a user who
// configured a key in such a store gets a note, and the command does not fail.
func (a *app) storeFailures(failed map[string]error, choice config.Choice) error {
	var errs []error
	for scheme, err := range failed {
		configured := isConfigured(scheme, choice)
		switch {
		case errors.Is(err, signer.ErrUnavailable) && !configured:
		case errors.Is(err, signer.ErrUnavailable), scheme == "vault" && !configured: // VAULT_ADDR may be set for other programs
			a.note("countersign: %v\n", err)
		default:
			errs = append(errs, err)
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
