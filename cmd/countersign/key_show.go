package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) keyShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show [REF]",
		Short: "Print the fingerprint and the public half of a key",
		Long:  "Print the fingerprint and the public half of the key REF, or of the one that would be used.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && a.key != "" {
				return usageError{errors.New("give the key as REF or with --key, not both")}
			}
			if len(args) == 1 {
				a.key = args[0]
			}
			return a.showKey(cmd.Context())
		},
	}
}

func (a *app) showKey(ctx context.Context) error {
	key, err := a.open(ctx)
	if err != nil {
		return err
	}
	return a.printKey(key.PublicKey())
}
