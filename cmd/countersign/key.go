package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make and show keys",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "generate REF",
		Short:   "Make an Ed25519 key in a store and print its public half",
		Example: "  countersign key generate keyring:ollama\n  countersign key generate file:~/.ollama/id_ed25519",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.generateKey(cmd.Context(), args[0]) },
	}, &cobra.Command{
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
	})
	return cmd
}

func (a *app) showKey(ctx context.Context) error {
	key, err := a.open(ctx)
	if err != nil {
		return err
	}
	return a.printKey(key.PublicKey())
}

func (a *app) generateKey(ctx context.Context, ref string) error {
	c, err := config.Load()
	if err != nil {
		return err
	}
	backend, name, err := a.backends(c).Resolve(ref)
	if err != nil {
		return &signer.Error{Op: "generate", Err: err}
	}
	generator, ok := backend.(signer.Generator)
	if !ok {
		return signer.Wrap("generate", ref, fmt.Errorf("%w: no key can be made there, but in keyring: and file: there can", signer.ErrUnsupported))
	}
	key, err := generator.Generate(ctx, name)
	if err != nil {
		return signer.Wrap("generate", ref, err)
	}
	return a.printKey(key.PublicKey())
}
