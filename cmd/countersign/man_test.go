package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/testprogram"
)

// TestManPages wants a page for each command that mandoc can read and that has the
// command line.
func TestManPages(t *testing.T) {
	mandoc := testprogram.Require(t, "mandoc", "mandoc")
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "run", "-tags", "man", ".", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	root := new(app).root()
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Name() == "help" {
			return // cobra writes no page for it
		}
		page := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
		if out, err := exec.CommandContext(t.Context(), mandoc, "-T", "lint", "-W", "error", page).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		text, err := exec.CommandContext(t.Context(), mandoc, "-T", "ascii", page).Output()
		if err != nil {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
		}
		if plain := unstruck(text); !strings.Contains(plain, cmd.Short) || !strings.Contains(plain, cmd.UseLine()) {
			t.Errorf("%s: the page lacks what the command does, or how it is called:\n%s", cmd.CommandPath(), plain)
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(root)

	pages, err := os.ReadDir(dir)
	if err != nil || len(pages) < 20 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}

// unstruck removes line breaks and the overstriking that prints bold ("x\bx").
func unstruck(text []byte) string {
	for i := bytes.IndexByte(text, '\b'); i > 0; i = bytes.IndexByte(text, '\b') {
		text = append(text[:i-1], text[i+1:]...)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}
