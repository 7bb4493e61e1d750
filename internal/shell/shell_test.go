package shell_test

import (
	"os/exec"
	"testing"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/shell"
)

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"/home/me/.ssh/id_ed25519":       "/home/me/.ssh/id_ed25519",
		"":                               "''",
		"~/Library/Application Support/": "'~/Library/Application Support/'",
		"it's":                           `'it'\''s'`,
		"a\x1b[31m'%\\":                  `"$(printf 'a\033[31m\047\045\134')"`,
		"\u202eb":                        `"$(printf '\342\200\256b')"`,
		"caf\u00e9":                      "'caf\u00e9'",
		"\xff":                           `"$(printf '\377')"`,
		"a\n":                            `$'a\012'`,
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
	for _, s := range []string{"", "a b", "it's", `$HOME "x" \`, "*", "line\nline", "\x1b[31m", "a\u202eb", "\u009b1", "\xff\xfe", "a\x011", "\n%s\\n'", "\u00a0"} {
		out, err := exec.Command(sh, "-c", "printf %s "+shell.Quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q became %q, %v", s, out, err)
		}
	}
}

func TestQuoteLineBreakAtEnd(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("SKIPPED: needs bash")
	}
	for _, s := range []string{"\n", "a\n\n", "it's \\ \x1b%\n"} {
		out, err := exec.Command(bash, "-c", "printf %s "+shell.Quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q became %q, %v", s, out, err)
		}
	}
}

// No word that Quote returns moves the cursor or changes the direction of writing.
func FuzzQuote(f *testing.F) {
	f.Add("/home/me/key")
	f.Add("\x1b]0;\a")
	f.Fuzz(func(t *testing.T, s string) {
		if got := shell.Quote(s); !printable.IsSafe(got) {
			t.Errorf("Quote(%q) = %q", s, got)
		}
	})
}
