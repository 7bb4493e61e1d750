package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

// maxMessage is how many bytes a text to be signed may have.
const maxMessage = 16 << 20

func (a *app) signCmd() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "sign <FILE",
		Short: "Sign the bytes on stdin, as Ollama does",
		Long: `Sign the bytes on stdin and print "<public key>:<signature>", as Ollama does.

A signature of arbitrary bytes can be misused: the same key may log in over SSH
or sign commits. Bytes that are not a request in one of Ollama's formats are
refused; --raw lets through those that belong to no protocol known here.`,
		Example: "  printf 'POST,/api/me?ts=1700000000' | countersign sign",
		Args:    checkArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.sign(cmd.Context(), raw) },
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "sign also what is no request, if it belongs to no other protocol")
	return cmd
}

func (a *app) sign(ctx context.Context, raw bool) error {
	msg, err := a.readMessage(ctx)
	if err != nil {
		return err
	}
	allowed := []guard.Purpose{guard.Registry, guard.API}
	if raw {
		allowed = append(allowed, guard.Raw)
	}
	if err := guard.Check(msg, allowed...); err != nil {
		if guard.PurposeOf(msg) == guard.Raw {
			err = fmt.Errorf("%w: if you know where the signature will be valid, allow it with --raw", err)
		}
		return err
	}
	key, err := a.open(ctx)
	if err != nil {
		return err
	}
	value, err := challenge.Sign(ctx, key, msg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, value)
	return err
}

func (a *app) verifyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify SIGNATURE <FILE",
		Short: "Check a signature of the bytes on stdin and print the key that made it",
		Long: `Check that SIGNATURE, "<public key>:<signature>", is one of the bytes on stdin
and print the fingerprint and the public key that made it. That key is whichever
the signature names: compare it with one that you know, or give --key, and it
must be that one.`,
		Args: checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), args[0]) },
	}
}

func (a *app) verify(ctx context.Context, signature string) error {
	msg, err := a.readMessage(ctx)
	if err != nil {
		return err
	}
	pub, err := challenge.Verify(signature, msg)
	if err != nil {
		return err
	}
	if a.key != "" {
		key, err := a.open(ctx)
		if err != nil {
			return err
		}
		if !signer.SameKey(key.PublicKey(), pub) {
			return fmt.Errorf("the signature is good, and made by another key: %s", ssh.FingerprintSHA256(pub))
		}
	}
	return a.printKey(pub)
}

func (a *app) readMessage(ctx context.Context) ([]byte, error) {
	msg, err := a.readStdin(ctx, maxMessage)
	if err == nil && len(msg) == 0 {
		return nil, usageError{errors.New("stdin is empty: pipe the bytes in, or name their file with <FILE")}
	}
	return msg, err
}
