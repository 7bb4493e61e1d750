package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/signer"
)

func (a *app) keyPassphraseCmd() *cobra.Command {
	return &cobra.Command{
		Use:        "passphrase REF",
		SuggestFor: []string{"password"},
		Short:      "Keep the passphrase of key files in the keychain",
		Long: `Keep a passphrase in the keychain, where the configuration says that key files are
unlocked from there:

  [file]
  passphrase = "keyring:NAME"

It is asked for on the terminal, unless --passphrase-file or --passphrase-fd gives
it. What is there already is left as it is.`,
		Example: "  countersign key passphrase keyring:key-files",
		Args:    checkArguments,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.keepPassphrase(cmd.Context(), args[0]) },
	}
}

// A passphraseKeeper is a store of passphrases.
type passphraseKeeper interface {
	SetPassphrase(ctx context.Context, name string, passphrase []byte) error
}

func (a *app) keepPassphrase(ctx context.Context, ref string) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	store, name, err := backendFor[passphraseKeeper](keys, "passphrase", ref)
	if err != nil {
		return err
	}
	ask := a.unlock.answer
	if a.unlock.read == nil {
		ask = a.terminal.AskNewHidden
		if !a.terminal.IsPresent() {
			return usageError{errors.New("no terminal to ask on: give --passphrase-file or --passphrase-fd")}
		}
	}
	secret, err := ask(ctx, "passphrase of the key files")
	if err != nil {
		return signer.Wrap("passphrase", ref, err)
	}
	return signer.Wrap("passphrase", ref, store.SetPassphrase(ctx, name, secret))
}
