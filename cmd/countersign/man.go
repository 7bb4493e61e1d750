//go:build man

// "make man" runs this main function in place of the command's. It writes the manual
// pages, so the command itself does not contain the library that makes them.
package main

import (
	"cmp"
	"log"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run -tags man ./cmd/countersign DIR")
	}
	root := new(app).root()
	root.DisableAutoGenTag = true
	for _, sub := range root.Commands() {
		referToRoot(sub)
	}
	// The headings of man-pages(7), and lists as blocks of code in Markdown.
	root.Long = strings.NewReplacer("Environment variables:", "# ENVIRONMENT", "Exit codes:", "# EXIT STATUS", "\n  ", "\n    ").Replace(root.Long)
	escape(root)
	header := &doc.GenManHeader{Section: "1", Source: "countersign", Manual: "countersign"}
	if err := doc.GenManTree(root, header, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// referToRoot adds a reference to the page with the variables and exit codes to the
// pages of cmd and its subcommands.
func referToRoot(cmd *cobra.Command) {
	cmd.Long = cmp.Or(cmd.Long, cmd.Short+".") + "\n\nVariables and exit codes: see countersign(1)."
	for _, sub := range cmd.Commands() {
		referToRoot(sub)
	}
}

// escape keeps Markdown, which the pages go through, from taking <FILE for HTML.
func escape(cmd *cobra.Command) {
	cmd.Use = strings.ReplaceAll(cmd.Use, "<", `\<`)
	cmd.Long = strings.ReplaceAll(cmd.Long, "<", `\<`)
	for _, sub := range cmd.Commands() {
		escape(sub)
	}
}
