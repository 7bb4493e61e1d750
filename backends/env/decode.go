package env

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/keyfile"
)

var errPublic = errors.New("a public key, not a private one")

// decode converts the forms in which people paste a key into the PEM that signer.Parse
// reads. Each form has a mark of its own, so a text that was cut or damaged is an error
// and never another key. Errors repeat no part of the text.
func decode(text []byte) ([]byte, error) {
	s := tidy(string(text))
	switch {
	case s == "":
		return nil, fmt.Errorf("empty (%d bytes): fill it, or unset the variable", len(text))
	case isArmored(s):
		return rearm(s)
	case strings.HasPrefix(s, "PuTTY-User-Key-File-"):
		return []byte(s), nil // signer.Parse says how to convert it
	case strings.Contains(s, "PRIVATE KEY"):
		return nil, errors.New("damaged PEM: a BEGIN and an END line have five dashes on either side")
	case isAuthorizedKey(s):
		return nil, errPublic
	}

	packed := strings.Join(strings.Fields(s), "")
	// Base64 that happens to have hex digits only is less likely than one in
	// 10^19; hex that was cut to the length of base64 is not unlikely at all.
	if digits := strings.TrimPrefix(packed, "0x"); isHex(digits) {
		raw, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("hex with an odd number of digits (%d)", len(digits))
		}
		return fromSeed(raw, "hex")
	}
	raw, err := decodeBase64(packed)
	if err != nil {
		return nil, fmt.Errorf("neither PEM, base64 nor hex (%d bytes): as base64, %w", len(text), err)
	}
	if isArmored(string(raw)) {
		return rearm(tidy(string(raw)))
	}
	if key, ok := keyfile.PEM([]byte(packed)); ok {
		return key, nil
	}
	out, err := fromSeed(raw, "base64")
	if err == nil && packed != s { // words of a sentence could be base64 together
		return nil, errors.New("base64 with spaces or line breaks in it: a seed stands in one piece")
	}
	return out, err
}

// tidy removes the marks that .env files, YAML, JSON, editors and shells leave in a text:
// \n as two characters, quotes, a byte order mark, space at both ends. No form of a key
// has a backslash or a quote.
func tidy(s string) string {
	s = strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(s)
	s = strings.TrimSpace(strings.TrimPrefix(s, "\ufeff"))
	if n := len(s); n > 1 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		s = strings.TrimSpace(s[1 : n-1])
	}
	return s
}

// isAuthorizedKey knows lines of authorized_keys, whole or cut.
func isAuthorizedKey(s string) bool {
	fields := strings.Fields(s)
	for _, f := range fields {
		if strings.HasPrefix(f, "ssh-") || strings.HasPrefix(f, "ecdsa-") || strings.HasPrefix(f, "sk-") {
			return len(fields) > 1
		}
	}
	return false
}

// fromSeed returns the PEM of the Ed25519 key whose seed is raw, or raw's first
// half if the other half is the public key: signer.Parse sees whether it is.
func fromSeed(raw []byte, form string) ([]byte, error) {
	switch {
	case bytes.HasPrefix(raw, []byte("openssh-key-v1\x00")):
		return nil, errors.New("an OpenSSH key without its BEGIN and END lines: they belong to it")
	case bytes.HasPrefix(raw, []byte{0, 0, 0}) && (bytes.Contains(raw, []byte("ssh-")) || bytes.Contains(raw, []byte("ecdsa-"))):
		return nil, errPublic
	case isText(raw):
		return nil, fmt.Errorf("%s of some text: a seed is random", form)
	}
	var key ed25519.PrivateKey
	switch len(raw) {
	case ed25519.SeedSize:
		key = ed25519.NewKeyFromSeed(raw)
	case ed25519.PrivateKeySize:
		key = raw
	default:
		return nil, fmt.Errorf("%s of %d bytes: an Ed25519 seed has %d, %d with its public key; PEM has BEGIN and END lines",
			form, len(raw), ed25519.SeedSize, ed25519.PrivateKeySize)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

func isText(b []byte) bool {
	for _, c := range b {
		if c < '\t' || c > '~' {
			return false
		}
	}
	return true
}

func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdefABCDEF") == "" }

// decodeBase64 reads either alphabet, padded or not.
func decodeBase64(s string) ([]byte, error) {
	enc := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	if !strings.HasSuffix(s, "=") {
		enc = enc.WithPadding(base64.NoPadding)
	}
	raw, err := enc.Strict().DecodeString(s)
	if err != nil {
		return nil, explainBase64(s)
	}
	return raw, nil
}

// explainBase64 says why s is not base64 without repeating any of it.
func explainBase64(s string) error {
	s = strings.TrimRight(s, "=")
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("+/-_", c) >= 0: // each right in its alphabet
		case c == '"', c == '\'':
			return fmt.Errorf("character %d is a quote", i+1)
		case c < ' ' || c > '~':
			return fmt.Errorf("character %d is not printable ASCII", i+1)
		default:
			return fmt.Errorf("character %d is punctuation", i+1)
		}
	}
	if strings.ContainsAny(s, "+/") && strings.ContainsAny(s, "-_") {
		return errors.New("its characters are of two alphabets, standard and URL")
	}
	return fmt.Errorf("its %d characters do not end where a byte ends: cut short, or a + became a space", len(s))
}
