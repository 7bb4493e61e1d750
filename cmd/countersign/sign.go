package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/sshsig"
	"github.com/countersign/countersign/signer"
)

// maxMessage is how many bytes a text to be signed may have.
const maxMessage = 16 << 20

func (a *app) signCmd() *cobra.Command {
	var raw bool
	var format sshFormat
	cmd := &cobra.Command{
		Use:   "sign <FILE",
		Short: "Sign the bytes on stdin, as Ollama or as ssh-keygen -Y does",
		Long: `Sign the bytes on stdin and print "<public key>:<signature>", as Ollama does. With
--namespace, sign stdin or the FILE that is the argument, and print a signature as
ssh-keygen -Y sign makes it.

A signature of arbitrary bytes can be misused: the same key may log in over SSH
or sign commits. Without --namespace, bytes that are not a request in one of
Ollama's formats are refused; --raw lets through those that belong to no protocol
known here. The namespace says where a signature is valid, such as "file".`,
		Example: "  printf 'POST,/api/me?ts=1700000000' | countersign sign\n  countersign sign --namespace file release.tar.gz >release.tar.gz.sig",
		Args:    checkSSHArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if isSSH(cmd) {
				return a.signSSH(cmd.Context(), format, raw, args)
			}
			return a.sign(cmd.Context(), raw)
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "sign also what is no request, if it belongs to no other protocol")
	cmd.Flags().StringVar(&format.namespace, "namespace", "", "sign as ssh-keygen -Y does, for the namespace `NAME`")
	cmd.Flags().StringVar(&format.hash, "hash", sshsig.Hashes[0], "with --namespace: the hash `NAME`, "+strings.Join(sshsig.Hashes, " or "))
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
	var check sshCheck
	cmd := &cobra.Command{
		Use:   "verify SIGNATURE <FILE",
		Short: "Check a signature of the bytes on stdin and print the key that made it",
		Long: `Check that SIGNATURE, "<public key>:<signature>", is one of the bytes on stdin
and print the fingerprint and the public key that made it. With --signature, check
a signature that ssh-keygen -Y sign or countersign sign --namespace made, of stdin
or of the FILE that is the argument.

The key is whichever the signature names. Compare it with a key that you know,
give --key, and it must be that key, or give --allowed-signers and --identity, and
the file must allow the key for that identity (ssh-keygen(1), ALLOWED SIGNERS).`,
		Example: "  countersign verify --signature f.sig --namespace file --allowed-signers signers --identity ann@example.com f",
		Args:    checkSSHArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if isSSH(cmd) {
				return a.verifySSH(cmd.Context(), check, args)
			}
			return a.verify(cmd.Context(), args[0])
		},
	}
	cmd.Flags().StringVar(&check.signature, "signature", "", "the `FILE` with a signature of ssh-keygen -Y")
	cmd.Flags().StringVar(&check.namespace, "namespace", "", "with --signature: the namespace `NAME` that it must be for")
	cmd.Flags().StringVar(&check.allowedSigners, "allowed-signers", "", "with --signature: the `FILE` with the keys of each identity")
	cmd.Flags().StringVar(&check.identity, "identity", "", "with --allowed-signers: the signer's `NAME` in the file")
	return cmd
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
	return a.printSigner(ctx, pub)
}

// printSigner prints the key that made a good signature. It must be the key of --key,
// if that is given.
func (a *app) printSigner(ctx context.Context, pub ssh.PublicKey) error {
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

// readFile reads a file of at most limit bytes.
func readFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	return signer.Await(ctx, func() ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, printable.Error(err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, limit+1))
		if err == nil && int64(len(data)) > limit {
			err = fmt.Errorf("%s holds more than %d bytes", printable.Text(path), limit)
		}
		return data, printable.Error(err)
	})
}
