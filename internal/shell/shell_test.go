package shell_test

import (
	"os/exec"
	"testing"

	"github.com/countersign/countersign/internal/shell"
)

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"/home/me/.ssh/id_ed25519":       "/home/me/.ssh/id_ed25519",
		"":                               "''",
		"~/Library/Application Support/": "'~/Library/Application Support/'",
		"it's":                           `'it'\''s'`,
	} {
		if got := shell.Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestQuoteInAShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs sh")
	}
	for _, s := range []string{"", "a b", "it's", `$HOME "x" \`, "*", "line\nline"} {
		out, err := exec.Command(sh, "-c", "printf %s "+shell.Quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q became %q, %v", s, out, err)
		}
	}
}
