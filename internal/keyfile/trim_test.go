package keyfile_test

import (
	"testing"

	"github.com/countersign/countersign/internal/keyfile"
)

func TestTrimLineEnd(t *testing.T) {
	for text, want := range map[string]string{
		"":             "",
		"secret":       "secret",
		"secret\n":     "secret",
		"secret\r\n":   "secret",
		"secret\n\n":   "secret\n",
		" secret \t\n": " secret \t",
		"\nsecret\r\n": "\nsecret",
		"two\nlines\n": "two\nlines",
		"secret\r":     "secret",
		"secret\n\r\n": "secret\n",
	} {
		if got := string(keyfile.TrimLineEnd([]byte(text))); got != want {
			t.Errorf("TrimLineEnd(%q) = %q, want %q", text, got, want)
		}
	}
}
