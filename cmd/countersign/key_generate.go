package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/signer"
)

func (a *app) keyGenerateCmd() *cobra.Command {
	var flags keyFileFlags
	cmd := &cobra.Command{
		Use:        "generate REF",
		SuggestFor: []string{"new", "create", "make", "gen", "keygen", "add", "init"},
		Short:      "Make an Ed25519 key in a store and print its public half",
		Example:    "  countersign key generate keyring:ollama\n  countersign key generate file:~/.ollama/id_ed25519",
		Args:       checkArguments,
		RunE:       func(cmd *cobra.Command, args []string) error { return a.generateKey(cmd.Context(), args[0], &flags) },
	}
	flags.add(a, cmd)
	return cmd
}

func (a *app) generateKey(ctx context.Context, ref string, flags *keyFileFlags) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	keys, err = a.withKeyFileFlags(keys, flags)
	if err != nil {
		return err
	}
	store, name, err := backendFor[signer.Generator](keys, "generate", ref)
	if err != nil {
		return err
	}
	if err := flags.check(store); err != nil {
		return err
	}
	key, err := store.Generate(ctx, name)
	if err != nil {
		return signer.Wrap("generate", ref, err)
	}
	return a.printKey(key.PublicKey())
}
