package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyExportCmd() *cobra.Command {
	var flags keyFileFlags
	var yes bool
	cmd := &cobra.Command{
		Use:        "export REF",
		SuggestFor: []string{"save", "dump", "backup"},
		Short:      "Write a private key to stdout, in OpenSSH's format",
		Long:       "Write the private key REF to stdout, in OpenSSH's format. If stdout is a terminal, it asks first.",
		Example:    "  (umask 077; countersign key export keyring:ollama >key)",
		Args:       checkArguments,
		RunE:       func(cmd *cobra.Command, args []string) error { return a.exportKey(cmd.Context(), args[0], &flags, yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	flags.add(a, cmd)
	return cmd
}

func (a *app) exportKey(ctx context.Context, ref string, flags *keyFileFlags, yes bool) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	store, name, err := backendFor[signer.Exporter](keys, "export", ref)
	if err != nil {
		return err
	}
	passphrase, err := flags.passphrase(a)
	if err != nil {
		return err
	}
	if terminal.Is(a.stdout) {
		if err := a.confirm(ctx, yes, "Show the private key on this terminal?"); err != nil {
			return signer.Wrap("export", ref, err)
		}
	}
	key, err := store.Export(ctx, name)
	if err != nil {
		return signer.Wrap("export", ref, err)
	}
	var newPassphrase func() ([]byte, error)
	if passphrase != nil {
		newPassphrase = func() ([]byte, error) { return passphrase(ctx, "new passphrase") }
	}
	text, err := keyfile.Marshal(key, cmp.Or(flags.comment, keyfile.DefaultComment), newPassphrase)
	if err != nil {
		return signer.Wrap("export", ref, err)
	}
	if _, err := signer.ParseRawPrivateKey(ctx, text, passphrase); err != nil {
		return signer.Wrap("export", ref, fmt.Errorf("OpenSSH's format does not hold this key: %w", err))
	}
	_, err = a.stdout.Write(text)
	return err
}
