package spelling_test

import (
	"errors"
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
