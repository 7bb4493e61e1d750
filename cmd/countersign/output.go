package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/remedy"
	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// A checkedWriter remembers the first error. Cobra writes help and completions and
// ignores errors.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("writing to stdout: %w", err)
	}
	return n, err
}

// printJSON prints a result for programs. Its fields do not change.
func (a *app) printJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := a.stdout.Write(printable.JSON([]byte(a.misplaced.Text(b.String()))))
	return err
}

// print prints a result for people. Results that must be exact, such as a token or
// the body of a response, go to stdout directly.
func (a *app) print(format string, args ...any) error {
	_, err := io.WriteString(a.stdout, a.safe(fmt.Sprintf(format, args...)))
	return err
}

// printTable prints rows of fields, in columns.
func (a *app) printTable(padding int, rows [][]string) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, padding, ' ', 0)
	for _, row := range rows {
		for i, field := range row {
			row[i] = printable.Text(field) // a line end would end the row
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.print("%s", b.String())
}

// printError prints an error as the last words of a command.
func (a *app) printError(err error) {
	fmt.Fprintln(a.stderr, a.safe("countersign: "+err.Error()))
	if do := a.remedy(err); do != "" {
		fmt.Fprintln(a.stderr, a.safe("  "+do))
	}
}

// remedy returns the hint of err or, if it has none, names the flag or the command
// that helps: the library cannot, because other programs use it.
func (a *app) remedy(err error) string {
	do := remedy.Of(err)
	e, _ := errors.AsType[*challenge.Error](err)
	switch {
	case do != "":
	case e != nil && errors.Is(err, challenge.ErrRealm):
		do = "the configuration may be able to allow it: countersign doctor " + shell.Quote(e.Registry)
	case e != nil && errors.Is(err, challenge.ErrRejected) && e.Status == http.StatusUnauthorized:
		do = "the server must know the key; see: countersign help command#how-does-a-server-get-to-know-a-key"
	case errors.Is(err, signer.ErrLocked) && a.unlock.read == nil:
		do = "give its passphrase with --passphrase-file; see: countersign help keys#passphrases"
	}
	return do
}

// note tells a person about progress, unless --quiet is given.
func (a *app) note(format string, args ...any) {
	fmt.Fprint(a.notes(), a.safe(fmt.Sprintf(format, args...)))
}

// notes returns the stream for notes, which drops them if --quiet is given.
func (a *app) notes() io.Writer {
	if a.quiet {
		return io.Discard
	}
	return a.stderr
}

// safe returns text without misplaced keys and without characters that a terminal
// obeys.
func (a *app) safe(text string) string { return printable.Lines(a.misplaced.Text(text)) }

// printsKey gives a command that prints a public key the choice of its form.
func (a *app) printsKey(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.keyJSON, "json", false, "print an object with fingerprint and public_key")
	return cmd
}

// printKey prints a public key as ssh-keygen -l and authorized_keys do.
func (a *app) printKey(pub ssh.PublicKey) error {
	fingerprint, line := ssh.FingerprintSHA256(pub), signer.AuthorizedKey(pub)
	if a.keyJSON {
		return a.printJSON(struct {
			Fingerprint string `json:"fingerprint"`
			PublicKey   string `json:"public_key"`
		}{fingerprint, line})
	}
	return a.print("%s\n%s\n", fingerprint, line)
}
