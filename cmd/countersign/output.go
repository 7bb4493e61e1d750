package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/printable"
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

// printError prints an error as the last words of a command: the problem in one
// line, the remedy in the next one and, with --verbose, the details.
func (a *app) printError(err error) {
	fmt.Fprintln(a.stderr, a.safe("countersign: "+err.Error()))
	if do := a.remedy(err); do != "" {
		fmt.Fprintln(a.stderr, a.safe("  "+do))
	}
	if search, ok := errors.AsType[*signer.SearchError](err); ok && a.verbose {
		for _, p := range search.Passed {
			fmt.Fprintln(a.stderr, a.safe("  passed over: "+p.Err.Error()))
		}
	}
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
