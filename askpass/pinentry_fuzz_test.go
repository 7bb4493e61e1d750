package askpass

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// FuzzPinentry wants either a passphrase within the limit or an error, whatever the
// program prints.
func FuzzPinentry(f *testing.F) {
	for _, seed := range []string{"OK\nOK\nOK\nD secret%25\nOK\n", "OK hello\nERR 83886179 no\n", "D %\n", "S\n#\n\nOK", "ERR", "OK\x00\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answers string) {
		p := &pinentry{io.Discard, bufio.NewScanner(strings.NewReader(answers))}
		secret, err := p.ask("prompt")
		if err != nil && secret != nil || len(secret) > maxPassphrase {
			t.Errorf("%d bytes, %v", len(secret), err)
		}
	})
}
