// Package keyname refuses names that no store has, before anything prints them.
package keyname

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign/signer"
)

// Check returns an error that wraps signer.ErrName, and does not repeat name,
// if name is empty, holds control characters, is longer than longest bytes, or
// is a private key rather than the name of one: what a shell makes of env:$KEY.
func Check(name string, longest int) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", signer.ErrName)
	case isKey(name):
		return fmt.Errorf("%w: it looks like a key itself; give the name of what holds the key", signer.ErrName)
	case len(name) > longest:
		return fmt.Errorf("%w: it has %d bytes, the longest is %d", signer.ErrName, len(name), longest)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: it holds control characters", signer.ErrName)
	}
	return nil
}

// CheckReference finds what no backend of known could open, as [signer.Mux.Resolve]
// and Check do. It leaves to the backend what only that knows: whether a name may
// be empty.
func CheckReference(known signer.Mux, ref string, longest int) error {
	_, name, err := known.Resolve(ref)
	if err != nil || name == "" {
		return err
	}
	return Check(name, longest)
}

// isKey knows PEM, base64 of PEM, and an Ed25519 seed in hex or base64, with or
// without the public half behind it.
func isKey(s string) bool {
	if strings.Contains(s, "PRIVATE KEY") || strings.HasPrefix(s, "LS0tLS1CRUdJTi") {
		return true
	}
	if key, err := hex.DecodeString(s); err == nil && isKeySize(key) {
		return true
	}
	if strings.HasPrefix(s, "/") && !strings.HasSuffix(s, "=") || !isMixed(s) {
		return false // a path, or words: base64 of random bytes has all kinds of characters
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.Strict().DecodeString(strings.TrimRight(s, "=")); err == nil && isKeySize(key) {
			return true
		}
	}
	return false
}

func isKeySize(key []byte) bool { return len(key) == 32 || len(key) == 64 }

func isMixed(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsFunc(s, unicode.IsDigit)
}
