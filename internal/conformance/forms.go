package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A form is one way in which a secret appears in text.
type form struct {
	name string
	text string
}

// secretForms returns the forms of each number that gives key away: none if the
// type of key is not known here.
func secretForms(key crypto.Signer) []form {
	switch k := key.(type) {
	case *ed25519.PrivateKey:
		return secretForms(*k)
	case ed25519.PrivateKey:
		expanded := sha512.Sum512(k.Seed()) // RFC 8032, section 5.1.5
		return append(bytesForms("seed", k.Seed()), bytesForms("expanded key", expanded[32:])...)
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		if err != nil {
			panic(err) // the suite made the key
		}
		return numberForms("private number", new(big.Int).SetBytes(d))
	case *rsa.PrivateKey:
		forms := numberForms("private exponent", k.D)
		for _, p := range k.Primes {
			forms = append(forms, numberForms("prime", p)...)
		}
		return forms
	}
	return nil
}

func numberForms(what string, n *big.Int) []form {
	return append(bytesForms(what, n.Bytes()),
		form{what + " in decimal", n.String()},
		form{what + " as words", within("[", fmt.Sprintf("%d", n.Bits()))},
	)
}

func bytesForms(what string, b []byte) []form {
	forms := []form{
		{what + " as it is", string(b)},
		{what + " in hex", strings.TrimLeft(fmt.Sprintf("%x", b), "0")}, // a number has no leading zero
		{what + " in upper-case hex", strings.TrimLeft(fmt.Sprintf("%X", b), "0")},
		{what + " in spaced hex", fmt.Sprintf("% x", b)},
		{what + " in Go's syntax", within("{", fmt.Sprintf("%#v", b))},
		{what + " as decimal bytes", within("[", fmt.Sprintf("%d", b))},
		{what + " as JSON numbers", strings.ReplaceAll(within("[", fmt.Sprintf("%d", b)), " ", ",")},
		{what + " quoted", strings.Trim(strconv.Quote(ownRunes(b)), `"`)},
	}
	for offset := range 3 {
		std := base64Within(b, offset)
		url := strings.NewReplacer("+", "-", "/", "_").Replace(std)
		forms = append(forms, form{what + " in base64", std}, form{what + " in URL base64", url})
	}
	return forms
}

// within returns the text after the first open, without the last character.
func within(open, s string) string {
	_, s, _ = strings.Cut(s, open)
	return s[:len(s)-1]
}

// base64Within returns the characters that depend on b alone in the base64 of a
// longer text, such as a PEM block. In that text, b starts offset bytes after a
// multiple of three.
func base64Within(b []byte, offset int) string {
	s := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), b...))
	if (offset+len(b))%3 != 0 {
		s = s[:len(s)-1]
	}
	return s[(offset*8+5)/6:]
}

// ownRunes returns the longest part of b that starts and ends with an ASCII
// character, so that the text around it cannot change how it is quoted.
func ownRunes(b []byte) string {
	isASCII := func(r rune) bool { return r < utf8.RuneSelf }
	s := string(b)
	start, end := strings.IndexFunc(s, isASCII), strings.LastIndexFunc(s, isASCII)
	if end-start < 16 {
		return s
	}
	return s[start : end+1]
}
