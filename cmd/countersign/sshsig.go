package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/sshsig"
	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer"
)

// Limits of files that are read whole, in bytes.
const (
	maxSignature      = 64 << 10
	maxAllowedSigners = 4 << 20
)

// isSSH reports whether a flag of cmd asks for a signature as ssh-keygen -Y makes it.
func isSSH(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{"namespace", "hash", "signature", "allowed-signers", "identity"}, cmd.Flags().Changed)
}

// checkSSHArguments is the Args of a command that takes one FILE, or stdin, if isSSH
// reports true.
func checkSSHArguments(cmd *cobra.Command, args []string) error {
	switch {
	case !isSSH(cmd):
		return checkArguments(cmd, args)
	case len(args) > 1:
		return errors.New("too many arguments: with these flags there is one FILE, or stdin")
	}
	return nil
}

// An sshFormat has the flags of sign for a signature as ssh-keygen -Y makes it.
type sshFormat struct{ namespace, hash string }

func (f sshFormat) check() error {
	switch {
	case f.namespace == "":
		return errors.New("no --namespace: it says where the signature is valid, such as file, git or a name with your domain, app@example.com")
	case !slices.Contains(sshsig.Hashes, f.hash):
		return errors.New("--hash: want " + strings.Join(sshsig.Hashes, " or "))
	}
	return nil
}

func (a *app) signSSH(ctx context.Context, format sshFormat, raw bool, file []string) error {
	if err := format.check(); err != nil {
		return usageError{err}
	}
	if raw {
		return usageError{errors.New("--raw is for signatures without --namespace")}
	}
	message, err := a.openMessage(file)
	if err != nil {
		return err
	}
	defer message.Close()
	key, err := a.open(ctx)
	if err != nil {
		return err
	}
	sig, err := signer.Await(ctx, func() ([]byte, error) {
		return sshsig.Sign(ctx, key, format.namespace, format.hash, message)
	})
	if err != nil {
		return printable.Error(err)
	}
	_, err = a.stdout.Write(sig)
	return err
}

// An sshCheck has the flags of verify for a signature as ssh-keygen -Y makes it.
type sshCheck struct{ signature, namespace, allowedSigners, identity string }

func (c sshCheck) check() error {
	switch {
	case c.signature == "":
		return errors.New("no --signature: the flags --namespace, --allowed-signers and --identity are for the signature in its FILE")
	case c.namespace == "":
		return errors.New("no --namespace: which use must the signature be for?")
	case c.allowedSigners != "" && c.identity == "":
		return errors.New("no --identity: whose key must have made the signature?")
	case c.allowedSigners == "" && c.identity != "":
		return errors.New("no --allowed-signers: which file has the keys of this identity?")
	}
	return nil
}

func (a *app) verifySSH(ctx context.Context, c sshCheck, file []string) error {
	if err := c.check(); err != nil {
		return usageError{err}
	}
	text, err := readFile(ctx, c.signature, maxSignature)
	if err != nil {
		return err
	}
	sig, err := sshsig.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", printable.Text(c.signature), err)
	}
	message, err := a.openMessage(file)
	if err != nil {
		return err
	}
	defer message.Close()
	_, err = signer.Await(ctx, func() (struct{}, error) { return struct{}{}, sig.Verify(message, c.namespace) })
	if err != nil {
		return err
	}
	if c.allowedSigners != "" {
		allowed, err := readFile(ctx, c.allowedSigners, maxAllowedSigners)
		if err != nil {
			return err
		}
		err = sshsig.CheckAllowed(c.allowedSigners, string(allowed), sig.PublicKey(), c.identity, c.namespace, time.Now())
		if err != nil {
			return fmt.Errorf("the signature is good, and its key is not allowed: %w", err)
		}
	}
	return a.printSigner(ctx, sig.PublicKey())
}

// openMessage opens the file to sign or to check, or stdin.
func (a *app) openMessage(file []string) (io.ReadCloser, error) {
	if len(file) == 0 {
		if terminal.Is(a.stdin) {
			return nil, usageError{errors.New("stdin is a terminal: name the FILE, or pipe its content in")}
		}
		return io.NopCloser(a.stdin), nil
	}
	f, err := os.Open(file[0])
	if err != nil {
		return nil, printable.Error(err)
	}
	return f, nil
}
