package spelling_test

import (
	"errors"
	"os"
	"testing"

	"github.com/countersign/countersign/internal/spelling"
	"github.com/countersign/countersign/signer"
)

func TestScheme(t *testing.T) {
	keys := signer.Mux{"env": nil, "file": nil, "keyring": nil}
	for ref, want := range map[string]string{
		"keyrng:ollama": "keyring",
		"evn:KEY":       "env",
		"mine:key":      "",
		"vault:key":     "",
		"env:KEY":       "",
		"no reference":  "",
		"":              "",
	} {
		_, _, err := keys.Resolve(ref)
		if got := spelling.Scheme(err, ref); got != want {
			t.Errorf("Scheme(%q) = %q, want %q", ref, got, want)
		}
		hinted := spelling.WithSchemeHint(err, ref)
		if h, ok := signer.HintOf(hinted); ok != (want != "") || !errors.Is(hinted, err) {
			t.Errorf("WithSchemeHint(%q) has the hint %+v, want one only for a slip", ref, h)
		}
	}
}

// A file without its scheme is recognised, and other text is not repeated.
func TestSchemeOfFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("key", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"key": `did you mean "file:key"?`, "./key": `did you mean "file:./key"?`, "other": "", ".": "", "env:key:": ""} {
		_, _, err := signer.Mux{"env": nil}.Resolve(ref)
		if h, _ := signer.HintOf(spelling.WithSchemeHint(err, ref)); h.Do != want {
			t.Errorf("WithSchemeHint(%q) has the hint %q, want %q", ref, h.Do, want)
		}
	}
}
