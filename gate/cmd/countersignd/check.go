package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gate/check"
)

func (a *app) checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Report every mistake in the configuration, the keys and the grants, with its line",
		Long: `Report every mistake in the configuration, authorized_keys, the deny list, the grants and
the certificates, each with its file and line. Opens the signing keys. The exit code is 1
if there is a mistake.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			report := check.Check(cmd.Context(), c, a.keys(), time.Now())
			for _, m := range report.Mistakes {
				fmt.Fprintln(a.stderr, m)
			}
			for _, w := range report.Warnings {
				fmt.Fprintf(a.stderr, "warning: %s\n", w)
			}
			if len(report.Mistakes) > 0 {
				return errReported
			}
			fmt.Fprintf(a.stdout, "no mistakes; keys: %d, grants: %d, sites: %d\n", report.Keys, report.Grants, len(c.Sites))
			return nil
		},
	}
}
