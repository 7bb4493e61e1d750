package keyfile

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/countersign/countersign/signer"
)

// Text returns data as UTF-8 without a byte order mark. Editors and the shells of
// Windows write UTF-16, or a byte order mark before UTF-8. Without a mark, text
// is UTF-16 if every second byte is zero. Other data is returned as it is.
func Text(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return data[3:]
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return fromUTF16(data[2:], binary.BigEndian)
	case isZero(data, 1):
		return fromUTF16(data, binary.LittleEndian)
	case isZero(data, 0):
		return fromUTF16(data, binary.BigEndian)
	}
	return data
}

// isZero reports whether every second byte from start is zero and no other is.
func isZero(data []byte, start int) bool {
	for i, c := range data {
		if (c == 0) != (i%2 == start) {
			return false
		}
	}
	return len(data) > 0 && len(data)%2 == 0
}

func fromUTF16(data []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, 0, len(data)/2)
	for ; len(data) > 1; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	return []byte(string(utf16.Decode(units)))
}

// PEM returns the PEM of a PKCS#8 key whose DER is in text as base64 without BEGIN
// and END lines, as web pages show it. Otherwise it returns text and false. The base64
// has either alphabet of RFC 4648, with or without padding.
func PEM(text []byte) ([]byte, bool) {
	packed := strings.TrimRight(strings.Join(strings.Fields(string(text)), ""), "=")
	packed = strings.NewReplacer("-", "+", "_", "/").Replace(packed)
	der, err := base64.RawStdEncoding.DecodeString(packed)
	if err != nil {
		return text, false
	}
	if _, err := x509.ParsePKCS8PrivateKey(der); err != nil && !IsNSS(der) {
		return text, false
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), true
}

// curveOfNSS is the object identifier 1.3.6.1.4.1.11591.15.1 in DER. NSS, the
// library of Firefox, names Ed25519 so in PKCS#8, as a curve of ECDSA. RFC 8410
// came later and has another form.
var curveOfNSS = []byte{0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01}

// IsNSS reports whether der is an Ed25519 key in the form of NSS, which no other
// program reads.
func IsNSS(der []byte) bool { return bytes.Contains(der, curveOfNSS) }

// Explain returns err, with which the key in text could not be read, and the cause
// if it is known: a form that only NSS reads, or a character that only looks right.
// A locked key and a wrong passphrase have other causes.
func Explain(text []byte, err error) error {
	if errors.Is(err, signer.ErrLocked) || errors.Is(err, signer.ErrDenied) {
		return err
	}
	if block, _ := pem.Decode(text); block != nil {
		if !IsNSS(block.Bytes) {
			return err
		}
		return signer.WithHint(errors.New("an Ed25519 key in a form that only NSS reads"),
			signer.Hint{Do: "write it in the form of RFC 8410, as openssl genpkey -algorithm ed25519 does, or generate another key"})
	}
	if found := LookAlike(text); found != "" {
		return signer.WithHint(fmt.Errorf("%w: %s", err, found), signer.Hint{Do: "copy the key again as plain text"})
	}
	return err
}

// lookAlikes are characters that web pages and word processors put in place of
// ASCII.
var lookAlikes = map[rune]string{
	'\u00a0': "no-break space", '\u00ad': "soft hyphen", '\u2007': "figure space", '\u2010': "hyphen",
	'\u2011': "non-breaking hyphen", '\u2012': "figure dash", '\u2013': "en dash", '\u2014': "em dash",
	'\u2018': "left quotation mark", '\u2019': "right quotation mark", '\u201c': "left double quotation mark",
	'\u201d': "right double quotation mark", '\u200b': "zero width space", '\u200c': "zero width non-joiner",
	'\u200d': "zero width joiner", '\u2028': "line separator", '\u202f': "narrow no-break space",
	'\u2060': "word joiner", '\u2212': "minus sign", '\u3000': "ideographic space", '\ufe63': "small hyphen-minus",
	'\ufeff': "byte order mark", '\uff0d': "fullwidth hyphen-minus",
}

// LookAlike returns the place and the name of the first character in text that is
// neither ASCII nor a letter outside ASCII's look-alikes, or "" if there is none.
// It repeats nothing else of the text.
func LookAlike(text []byte) string {
	if !utf8.Valid(text) {
		return ""
	}
	line, column := 1, 0
	for _, r := range string(text) {
		column++
		name := lookAlikes[r]
		switch {
		case r == '\n':
			line, column = line+1, 0
		case name != "":
			return fmt.Sprintf("character %d of line %d is U+%04X, %s", column, line, r, name)
		case r >= utf8.RuneSelf && !unicode.IsLetter(r) || isASCIILike(r):
			return fmt.Sprintf("character %d of line %d is U+%04X, which is not ASCII", column, line, r)
		}
	}
	return ""
}

// isASCIILike reports whether r is a letter of another alphabet that looks like a
// letter of ASCII: Greek, Cyrillic and the fullwidth forms.
func isASCIILike(r rune) bool {
	return unicode.In(r, unicode.Greek, unicode.Cyrillic) || '\uff01' <= r && r <= '\uff5e'
}
