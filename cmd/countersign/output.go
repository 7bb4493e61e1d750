package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

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
	if !a.quiet {
		fmt.Fprintf(a.stderr, format, args...)
	}
}

// progress shows that something is waited for: one note, and below it on a
// terminal a line that counts the time. It is short: one that is wider than the
// terminal could not be written over.
type progress struct {
	app   *app
	text  string
	since time.Time // zero until it is shown
}

func (p *progress) show() {
	if p.since.IsZero() {
		p.since = time.Now()
		p.app.note("%s\n", p.text)
	}
	if isTerminal(p.app.stderr) {
		p.app.note("\r(%v) ", time.Since(p.since).Round(time.Second))
	}
}

// end leaves the line for what comes next.
func (p *progress) end() {
	if !p.since.IsZero() && isTerminal(p.app.stderr) {
		p.app.note("\n")
	}
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
