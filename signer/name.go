package signer

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName returns an error that wraps ErrName and does not repeat name if no
// store can have a key of that name: name is empty, has control characters or
// more than maxBytes bytes, or is itself a private key, as a shell makes it of
// env:$KEY. A backend calls it first in each method that takes a name, and then
// checks the rules of its own store.
func CheckName(name string, maxBytes int) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case isKey(name):
		return fmt.Errorf("%w: it looks like a key itself; give the name of the variable, file or item that holds the key", ErrName)
	case len(name) > maxBytes:
		return fmt.Errorf("%w: it has %d bytes, and at most %d are allowed", ErrName, len(name), maxBytes)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: it is not UTF-8", ErrName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: it has control characters", ErrName)
	}
	return nil
}

// CheckReference returns an error that wraps ErrName and does not repeat ref if
// no backend can open ref: it is not "scheme:name", or [CheckName] refuses the
// name. It accepts every scheme, and an empty name, which some backends use.
func CheckReference(ref string, maxBytes int) error {
	_, name, err := splitReference(ref)
	if err != nil || name == "" {
		return err
	}
	return CheckName(name, maxBytes)
}

// isKey reports whether s is PEM, base64 of PEM, or an Ed25519 seed in hex or
// base64, with or without its public half.
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
