package keyfile_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

func toUTF16(text string, order binary.AppendByteOrder) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return b
}

func TestText(t *testing.T) {
	const text = "-----BEGIN\r\nk\u00e9y \U0001f511"
	const ascii = "-----BEGIN\r\nkey"
	for name, tt := range map[string]struct{ data, want string }{
		"plain":               {text, text},
		"UTF-8 with a mark":   {"\ufeff" + text, text},
		"UTF-16, little":      {string(toUTF16("\ufeff"+text, binary.LittleEndian)), text},
		"UTF-16, big":         {string(toUTF16("\ufeff"+text, binary.BigEndian)), text},
		"no mark, little":     {string(toUTF16(ascii, binary.LittleEndian)), ascii},
		"no mark, big":        {string(toUTF16(ascii, binary.BigEndian)), ascii},
		"empty":               {"", ""},
		"only a mark":         {"\ufeff", ""},
		"binary":              {"\x00\x00ab", "\x00\x00ab"},
		"zero at an odd end":  {"a\x00b", "a\x00b"},
		"one zero":            {"\x00", "\x00"},
		"mark in the middle":  {"a\ufeff", "a\ufeff"},
		"two bytes of a mark": {"\xef\xbb", "\xef\xbb"},
	} {
		path := filepath.Join(tempDir(t), "key")
		write(t, path, []byte(tt.data))
		if got, _, err := keyfile.Read(path); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tt.want)
		}
	}
}

func TestPEM(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	line := base64.StdEncoding.EncodeToString(der)
	want := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	url := base64.RawURLEncoding.EncodeToString(der)
	for _, text := range []string{line, line + "\n", line[:40] + "\r\n" + line[40:], "  " + line, url, base64.RawStdEncoding.EncodeToString(der)} {
		if got, ok := keyfile.PEM([]byte(text)); !ok || !bytes.Equal(got, want) {
			t.Errorf("PEM(%q) = %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "hello", line[:40], string(want), base64.StdEncoding.EncodeToString(key)} {
		if got, ok := keyfile.PEM([]byte(text)); ok || string(got) != text {
			t.Errorf("PEM(%q) = %q, %v", text, got, ok)
		}
	}
}

func TestLookAlike(t *testing.T) {
	for text, want := range map[string]string{
		"-----BEGIN OPENSSH PRIVATE KEY-----": "",
		"Zo\u00eb's key\n-----BEGIN":          "",
		"a\n\u2011----BEGIN":                  "character 1 of line 2 is U+2011, non-breaking hyphen",
		"-----BEGIN\u00a0OPENSSH":             "character 11 of line 1 is U+00A0, no-break space",
		"AAAA\u200b":                          "character 5 of line 1 is U+200B, zero width space",
		"\u0410AAA":                           "character 1 of line 1 is U+0410, which is not ASCII",
		"\uff21":                              "character 1 of line 1 is U+FF21, which is not ASCII",
		"\u2713":                              "character 1 of line 1 is U+2713, which is not ASCII",
		"\xff\u2011":                          "",
		"\u2013\u2013\u2013\u2013\u2013BEGIN": "character 1 of line 1 is U+2013, en dash",
		strings.Repeat("A", 64) + "\r\n" + "BB\u2028" + "\u00a0": "character 3 of line 2 is U+2028, line separator",
	} {
		if got := keyfile.LookAlike([]byte(text)); got != want {
			t.Errorf("LookAlike(%q) = %q, want %q", text, got, want)
		}
	}
}

// nss is an Ed25519 key as NSS writes it in PKCS#8, with a made-up seed.
var nss = func() []byte {
	inner := append([]byte{0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20}, bytes.Repeat([]byte{7}, 32)...)
	algorithm := []byte{0x30, 0x14, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01}
	body := append([]byte{0x02, 0x01, 0x00}, algorithm...)
	body = append(append(body, 0x04, byte(len(inner))), inner...)
	return append([]byte{0x30, byte(len(body))}, body...)
}()

func TestExplain(t *testing.T) {
	damaged := errors.New("damaged")
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: nss})
	_, err := signer.Parse(t.Context(), inPEM, nil)
	if err == nil {
		t.Fatal("signer.Parse reads the form of NSS")
	}
	err = keyfile.Explain(inPEM, err)
	if hint, _ := signer.HintOf(err); !strings.Contains(err.Error(), "only NSS reads") || !strings.Contains(hint.Do, "RFC 8410") {
		t.Errorf("NSS: %v, %+v", err, hint)
	}
	if got, ok := keyfile.PEM([]byte(base64.StdEncoding.EncodeToString(nss))); !ok || !bytes.Equal(got, inPEM) {
		t.Errorf("NSS in base64: %q, %v", got, ok)
	}
	err = keyfile.Explain([]byte("\u2011"), damaged)
	if hint, ok := signer.HintOf(err); !errors.Is(err, damaged) || err.Error() != "damaged: character 1 of line 1 is U+2011, non-breaking hyphen" || !ok {
		t.Errorf("a look-alike: %v, %+v", err, hint)
	}
	for _, other := range []error{signer.ErrLocked, signer.ErrDenied} {
		if got := keyfile.Explain([]byte("\u2011"), other); got != other {
			t.Errorf("%v became %v", other, got)
		}
	}
	if got := keyfile.Explain([]byte("text"), damaged); got != damaged {
		t.Errorf("%v became %v", damaged, got)
	}
}
