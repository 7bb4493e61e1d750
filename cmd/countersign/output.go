package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
)

// printJSON prints a result for programs. Its fields do not change.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// note tells a person what is going on, unless --quiet is given.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.notes(), format, args...)
}

// notes returns the stream for notes, which drops them if --quiet is given.
func (a *app) notes() io.Writer {
	if a.quiet {
		return io.Discard
	}
	return a.stderr
}

// printsKey gives a command that prints a public key the choice of its form.
func (a *app) printsKey(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.keyJSON, "json", false, "print an object with fingerprint and public_key")
	return cmd
}

// printKey prints a public key as ssh-keygen -l and authorized_keys do.
func (a *app) printKey(pub ssh.PublicKey) error {
	fingerprint, line := ssh.FingerprintSHA256(pub), string(ssh.MarshalAuthorizedKey(pub))
	if a.keyJSON {
		return a.printJSON(struct {
			Fingerprint string `json:"fingerprint"`
			PublicKey   string `json:"public_key"`
		}{fingerprint, strings.TrimSpace(line)})
	}
	_, err := fmt.Fprintf(a.stdout, "%s\n%s", fingerprint, line)
	return err
}
