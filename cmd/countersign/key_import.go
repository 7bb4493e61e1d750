package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyImportCmd() *cobra.Command {
	var flags keyFileFlags
	cmd := &cobra.Command{
		Use:        "import REF [FILE]",
		SuggestFor: []string{"add", "load", "restore"},
		Short:      "Put a key from a file or stdin into a store",
		Long: `Put the private key in FILE, or on stdin, into a store: OpenSSH or PEM; Ed25519,
ECDSA or RSA. It is read back and tried before its public half is printed. Another
key of that name is left as it is. A key with a passphrase that goes into a file
keeps its passphrase, unless a flag gives another one.`,
		Example: "  countersign key import keyring:ollama ~/.ollama/id_ed25519",
		Args:    checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importKey(cmd.Context(), &flags, args[0], args[1:]...)
		},
	}
	flags.add(a, cmd)
	return cmd
}

func (a *app) importKey(ctx context.Context, flags *keyFileFlags, to string, path ...string) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	target, err := a.targetFor(keys, to, flags)
	if err != nil {
		return err
	}
	ask, unlockedWith := remember(keys.File.Passphrase)
	key, err := a.readKey(ctx, ask, path...)
	if err != nil {
		return err
	}
	target.keepLocked(unlockedWith)
	pub, written, err := target.write(ctx, key)
	if err != nil {
		return err
	}
	return a.printWritten(target, pub, written)
}

// readKey reads a private key from the file at path, or else from stdin.
func (a *app) readKey(ctx context.Context, passphrase signer.PassphraseFunc, path ...string) (crypto.Signer, error) {
	if len(path) > 0 {
		key, err := (&file.Backend{Passphrase: passphrase}).Export(ctx, path[0])
		if err != nil {
			return nil, &signer.Error{Op: "import", Err: err}
		}
		return key, nil
	}
	if terminal.Is(a.stdin) {
		return nil, usageError{errors.New("stdin is a terminal: name the key's FILE, or pipe the key in")}
	}
	data, err := a.readStdin(ctx, keyfile.MaxSize)
	if err != nil {
		return nil, err
	}
	data, _ = keyfile.PEM(keyfile.Text(data))
	key, err := signer.ParseRawPrivateKey(ctx, data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("stdin: %w", keyfile.Explain(data, err))
	}
	return key, nil
}
