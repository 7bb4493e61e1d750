package main

import (
	"context"
	"crypto"
	"encoding/pem"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyExportCmd() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "export REF",
		Short:   "Write a private key to stdout, in OpenSSH's format",
		Long:    "Write the private key REF to stdout, in OpenSSH's format. If stdout is a terminal, it asks first.",
		Example: "  (umask 077; countersign key export keyring:ollama >key)",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.exportKey(cmd.Context(), args[0], yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) exportKey(ctx context.Context, ref string, yes bool) error {
	c, err := config.Load()
	if err != nil {
		return err
	}
	store, name, err := able[signer.Exporter](a.backends(c), "export", ref)
	if err != nil {
		return err
	}
	if isTerminal(a.stdout) {
		if err := a.ask(ctx, yes, "Show the private key on this terminal?"); err != nil {
			return signer.Wrap("export", ref, err)
		}
	}
	key, err := store.Export(ctx, name)
	if err != nil {
		return signer.Wrap("export", ref, err)
	}
	text, err := marshalKey(key)
	if err != nil {
		return signer.Wrap("export", ref, err)
	}
	defer clear(text)
	_, err = a.stdout.Write(text)
	return err
}

func marshalKey(key crypto.Signer) ([]byte, error) {
	block, err := ssh.MarshalPrivateKey(key, "countersign")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", signer.ErrUnsupported, err)
	}
	defer clear(block.Bytes)
	return pem.EncodeToMemory(block), nil
}
