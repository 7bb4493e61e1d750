package env

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// pasted lists what becomes of a PEM on its way into a variable.
func pasted(key string) map[string]string {
	lines := strings.Split(strings.TrimSuffix(key, "\n"), "\n")
	join := func(sep string) string { return strings.Join(lines, sep) }
	std := base64.StdEncoding.EncodeToString([]byte(key))
	wrapped := func(s, sep string) string {
		var b strings.Builder
		for len(s) > 76 {
			b.WriteString(s[:76] + sep)
			s = s[76:]
		}
		return b.String() + s + sep
	}
	return map[string]string{
		"PEM":                     key,
		"PEM, no final newline":   join("\n"),
		"PEM, CRLF":               join("\r\n") + "\r\n",
		`PEM, \n`:                 join(`\n`) + `\n`,
		`PEM, \r\n`:               join(`\r\n`) + `\r\n`,
		"PEM, spaces":             join(" "),
		"PEM, indented":           "    " + join("\n    ") + "\n  ",
		"PEM, tabs":               "\t" + join("\n\t"),
		"PEM, double quotes":      `"` + key + `"`,
		"PEM, single quotes":      `'` + key + `'`,
		`PEM, \n in quotes`:       `"` + join(`\n`) + `\n"` + "\n",
		"PEM, text around":        "my key\n" + key + "\nthe end\n",
		"PEM, byte order mark":    "\ufeff" + key,
		"base64":                  std,
		"base64, no padding":      strings.TrimRight(std, "="),
		"base64, URL":             base64.URLEncoding.EncodeToString([]byte(key)),
		"base64, URL, no padding": base64.RawURLEncoding.EncodeToString([]byte(key)),
		"base64, wrapped":         wrapped(std, "\n"),
		"base64, wrapped, CRLF":   wrapped(std, "\r\n"),
		`base64, wrapped, \n`:     wrapped(std, `\n`),
		"base64, wrapped, spaces": wrapped(std, " "),
		"base64, quotes":          `"` + std + `"`,
		"base64 of PEM with CRLF": base64.StdEncoding.EncodeToString([]byte(join("\r\n"))),
		`base64 of PEM with \n`:   base64.StdEncoding.EncodeToString([]byte(join(`\n`))),
	}
}

// pastedSeed lists what becomes of an Ed25519 key without PEM.
func pastedSeed(key ed25519.PrivateKey) map[string]string {
	forms := make(map[string]string)
	for what, raw := range map[string][]byte{"seed": key.Seed(), "key": key} {
		forms[what+", base64"] = base64.StdEncoding.EncodeToString(raw)
		forms[what+", base64, newline"] = base64.StdEncoding.EncodeToString(raw) + "\n"
		forms[what+", base64, no padding"] = base64.RawStdEncoding.EncodeToString(raw)
		forms[what+", base64, URL"] = base64.URLEncoding.EncodeToString(raw)
		forms[what+", base64, URL, no padding"] = base64.RawURLEncoding.EncodeToString(raw)
		forms[what+", hex"] = hex.EncodeToString(raw)
		forms[what+", HEX"] = strings.ToUpper(hex.EncodeToString(raw))
		forms[what+", 0xhex"] = "0x" + hex.EncodeToString(raw)
		forms[what+", hex, quotes and spaces"] = `" ` + hex.EncodeToString(raw) + ` "`
		forms[what+", hex, quotes"] = `'` + hex.EncodeToString(raw) + `'`
		forms[what+", hex, wrapped by xxd"] = hex.EncodeToString(raw)[:60] + "\n" + hex.EncodeToString(raw)[60:] + "\n"
	}
	return forms
}

// parse is decode followed by the only thing that its result is for.
func parse(t testing.TB, text string) (signer.Signer, error) {
	t.Helper()
	out, err := decode([]byte(text))
	if err != nil {
		return nil, err
	}
	return signer.Parse(t.Context(), out, func(context.Context, string) ([]byte, error) {
		return []byte("secret"), nil
	})
}

func publicKey(t testing.TB, key crypto.Signer) ssh.PublicKey {
	t.Helper()
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDecodeEveryForm(t *testing.T) {
	tests := []struct {
		name string
		args []string // of ssh-keygen
	}{
		{"Ed25519", nil},
		{"Ed25519 with passphrase", []string{"-N", "secret"}},
		{"RSA", []string{"-t", "rsa", "-b", "2048"}},
		{"RSA, PKCS#1", []string{"-t", "rsa", "-b", "2048", "-m", "PEM"}},
		{"RSA, PKCS#1 with passphrase", []string{"-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "secret"}},
		{"RSA, PKCS#8", []string{"-t", "rsa", "-b", "2048", "-m", "PKCS8"}},
		{"ECDSA 256", []string{"-t", "ecdsa"}},
		{"ECDSA 521", []string{"-t", "ecdsa", "-b", "521"}},
		{"ECDSA, SEC 1", []string{"-t", "ecdsa", "-m", "PEM"}},
		{"ECDSA, SEC 1 with passphrase", []string{"-t", "ecdsa", "-m", "PEM", "-N", "secret"}},
		{"ECDSA, PKCS#8", []string{"-t", "ecdsa", "-m", "PKCS8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := sshkeygen.New(t, tt.args...)
			want := sshkeygen.PublicKey(t, path)
			text := readFile(t, path)
			forms := pasted(text)
			if !strings.Contains(text, "DEK-Info") { // its headers need some space
				forms["PEM, line breaks lost"] = strings.ReplaceAll(text, "\n", "")
			}
			checkForms(t, forms, want)
		})
	}
}

func TestDecodeSeed(t *testing.T) {
	key := signertest.NewKey(t)
	checkForms(t, pastedSeed(key), publicKey(t, key))
}

// Some seeds look a little like a public key or like text.
func TestDecodeSeedThatLooksLikeSomethingElse(t *testing.T) {
	text := strings.Repeat("k", 40) // pads a seed
	for name, seed := range map[string]string{
		"three zeros":                  "\x00\x00\x00" + text,
		"ssh- after two zeros":         "\x00\x00\x01ssh-" + text,
		"ssh-":                         "\x80ssh-" + text,
		"text but for a control byte":  "\x08" + text,
		"text but for the last letter": text[:31] + "\x7f",
	} {
		key := ed25519.NewKeyFromSeed([]byte(seed)[:ed25519.SeedSize])
		got, err := parse(t, hex.EncodeToString(key.Seed()))
		if err != nil || !signer.SameKey(got.PublicKey(), publicKey(t, key)) {
			t.Errorf("%s: another key or %v", name, err)
		}
	}
	const url = "ssh-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw" // in the alphabet of URLs
	seed, err := base64.RawURLEncoding.DecodeString(url)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parse(t, url); err != nil || !signer.SameKey(got.PublicKey(), publicKey(t, ed25519.NewKeyFromSeed(seed))) {
		t.Errorf("%s: another key or %v", url, err)
	}
}

// ssh-keygen writes no PKCS#8 for Ed25519, openssl does.
func TestDecodePKCS8Ed25519(t *testing.T) {
	key := signertest.NewKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	checkForms(t, pasted(string(block)), publicKey(t, key))
}

// The DER of PKCS#8 is base64 in a PEM. People copy it without its BEGIN and END lines.
func TestDecodePKCS8WithoutLines(t *testing.T) {
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{signertest.NewKey(t), ecdsaKey, rsaKey} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		std := base64.StdEncoding.EncodeToString(der)
		checkForms(t, map[string]string{
			"one line":          std,
			"newline":           std + "\n",
			"no padding":        base64.RawStdEncoding.EncodeToString(der),
			"URL":               base64.URLEncoding.EncodeToString(der),
			"URL, no padding":   base64.RawURLEncoding.EncodeToString(der),
			"wrapped":           std[:40] + "\n" + std[40:],
			"wrapped, CRLF":     std[:40] + "\r\n" + std[40:],
			`wrapped, \n`:       std[:40] + `\n` + std[40:],
			"quotes":            `"` + std + `"`,
			"byte order mark":   "\ufeff" + std,
			"base64 of the PEM": base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		}, publicKey(t, key))
		if _, err := parse(t, std[:len(std)/2]); err == nil {
			t.Errorf("half of a key of type %T was taken", key)
		}
	}
}

// openssl writes the curve before the key, and people keep the certificate in
// the same file.
func TestDecodeLeavesOtherBlocksOut(t *testing.T) {
	path := sshkeygen.New(t, "-t", "ecdsa", "-m", "PEM")
	params := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8}})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{48, 0}})
	checkForms(t, pasted(string(params)+readFile(t, path)+string(cert)), sshkeygen.PublicKey(t, path))
}

func checkForms(t *testing.T, forms map[string]string, want ssh.PublicKey) {
	t.Helper()
	for form, text := range forms {
		key, err := parse(t, text)
		if err != nil {
			t.Errorf("%s: %v", form, err)
		} else if !signer.SameKey(key.PublicKey(), want) {
			t.Errorf("%s: another key", form)
		}
	}
}

// What is cut short is an error or, where only an end without meaning was cut,
// the same key: never another one.
func TestDecodeCutShort(t *testing.T) {
	key := signertest.NewKey(t)
	want := publicKey(t, key)
	block, err := ssh.MarshalPrivateKey(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	forms := pasted(string(pem.EncodeToMemory(block)))
	for form, text := range pastedSeed(key) {
		forms[form] = text
	}
	for form, text := range forms {
		refused := 0
		for n := range len(text) {
			got, err := parse(t, text[:n])
			if err != nil {
				refused++
				checkNoEcho(t, err, text)
				continue
			}
			if !signer.SameKey(got.PublicKey(), want) {
				t.Errorf("%s cut to %d of %d bytes is another key", form, n, len(text))
			}
		}
		if refused < 43 {
			t.Errorf("%s: only %d of %d cuts were refused", form, refused, len(text))
		}
	}
}

// checkNoEcho fails if err repeats eight characters of text in a row, other
// than those of the BEGIN and END lines.
func checkNoEcho(t testing.TB, err error, text string) {
	t.Helper()
	for _, line := range strings.Fields(text) {
		for i := 0; i+8 <= len(line); i++ {
			if part := line[i : i+8]; !strings.Contains(part, "-") && strings.Contains(err.Error(), part) {
				t.Errorf("error repeats %q of the text: %v", part, err)
				return
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	path := sshkeygen.New(t)
	text, public := readFile(t, path), readFile(t, path+".pub")
	lines := strings.SplitAfter(text, "\n")
	key := signertest.NewKey(t)
	seed := base64.StdEncoding.EncodeToString(key.Seed())
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	mixed := bytes.Clone(key)
	mixed[63] ^= 1

	tests := []struct{ name, text, want string }{
		{"nothing", "", "empty (0 bytes)"},
		{"spaces", " \n", "empty (2 bytes)"},
		{"quotes", `""`, "empty (2 bytes)"},
		{"public key", public, "a public key"},
		{"public key of a curve", "ecdsa-sha2-nistp256 AAAAE2VjZHNh", "a public key"},
		{"public key in hardware", "sk-ssh-ed25519@openssh.com AAAAGnNrLXNz", "a public key"},
		{"base64 of a curve's public key", base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x13ecdsa-sha2-nistp256")), "a public key"},
		{"public key with options", "restrict " + public, "a public key"},
		{"public key, cut to the length of a seed", public[:43], "a public key"},
		{"public key's base64", strings.Fields(public)[1], "a public key"},
		{"public PEM", publicPEM, "a public key"},
		{"public PEM on one line", strings.ReplaceAll(publicPEM, "\n", " "), "a public key"},
		{"base64 of public PEM", base64.StdEncoding.EncodeToString([]byte(publicPEM)), "a public key"},
		{"PuTTY key", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "puttygen"},
		{"certificate", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: spki})), "PEM without a private key"},
		{"two keys", text + text, "more than one private key"},
		{"no END line", strings.Join(lines[:len(lines)-2], ""), "cut short"},
		{"no BEGIN line", strings.Join(lines[1:], ""), "do not pair"},
		{"neither line", strings.Join(lines[1:len(lines)-2], ""), "without its BEGIN and END lines"},
		{"a whole key and a cut one", text + text[:100], "cut short"},
		{"END of another", strings.Replace(text, "END OPENSSH", "END RSA", 1), "another block's"},
		{"lost dashes", strings.ReplaceAll(text, "-----", "----"), "five dashes"},
		{"a line lost", strings.Join(append(lines[:2:2], lines[3:]...), ""), "damaged"},
		{"quote in the middle", strings.Replace(text, "b3Bl", `b3"l`, 1), "character 3 is a quote"},
		{"control character", strings.Replace(text, "b3Bl", "b3\x00l", 1), "character 3 is not printable"},
		{"punctuation", strings.Replace(text, "b3Bl", "b3.l", 1), "character 3 is punctuation"},
		{"characters lost", strings.Replace(text, "b3Bl", "b3", 1), "end where a byte ends"},
		{"padding lost in PEM", "-----BEGIN PRIVATE KEY-----\nAAA=A\n-----END PRIVATE KEY-----", "character 4 is punctuation"},
		{"unknown header", strings.Replace(text, "b3Bl", "Comment: b3Bl", 1), "character 8 is punctuation"},

		{"single quote in the middle", strings.Replace(text, "b3Bl", "b3'l", 1), "character 3 is a quote"},
		{"brace", strings.Replace(text, "b3Bl", "b3{l", 1), "character 3 is punctuation"},
		{"bracket", strings.Replace(text, "b3Bl", "b3[l", 1), "character 3 is punctuation"},
		{"tilde", strings.Replace(text, "b3Bl", "b3~l", 1), "character 3 is punctuation"},
		{"letter with an accent", strings.Replace(text, "b3Bl", "b3\u00e9l", 1), "character 3 is not printable ASCII"},
		{"seed of URL's alphabet, cut", "-_" + strings.Repeat("a", 39) + "b", "end where a byte ends"},
		{"0x alone", "0x", "neither PEM, base64 nor hex (2 bytes)"},
		{"hex of text with a tab", hex.EncodeToString([]byte("correct\thorse\tbattery staple...~")), "hex of some text"},

		{"hex, odd", "abc", "odd number of digits (3)"},
		{"hex, short", strings.Repeat("ab", 31), "hex of 31 bytes"},
		{"hex as long as a seed in base64", strings.Repeat("a", 43), "odd number of digits (43)"},
		{"0xhex as long as a seed in base64", "0x" + strings.Repeat("a", 41), "odd number of digits (41)"},
		{"hex of text", hex.EncodeToString([]byte("correct horse battery staple....")), "hex of some text"},
		{"seed, both alphabets", "+-" + seed[2:], "two alphabets"},
		{"seed with one quote", `"` + seed, "character 1 is a quote"},
		{"seed with a space", seed[:20] + " " + seed[20:], "one piece"},
		{"seed, bits left over", seed[:42] + "/" + "=", "end where a byte ends"},
		{"base64 of text", base64.StdEncoding.EncodeToString([]byte("correct horse battery staple....")), "base64 of some text"},
		{"base64 of a hex seed", base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(key.Seed()))), "base64 of some text"},
		{"base64 of 33 bytes", base64.StdEncoding.EncodeToString(append(key.Seed(), 0)), "base64 of 33 bytes"},
		{"halves that do not match", hex.EncodeToString(mixed), "do not belong together"},
		{"words", "correct horse, battery staple", "neither PEM, base64 nor hex (29 bytes): as base64, character 13 is punctuation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.text)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
			checkNoEcho(t, err, tt.text)
		})
	}
}

// Whatever decodes can be pasted in every form and is the same key.
func FuzzDecode(f *testing.F) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x9d, 0x61}, 16))
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range pasted(string(pem.EncodeToMemory(block))) {
		f.Add([]byte(text))
	}
	for _, text := range pastedSeed(key) {
		f.Add([]byte(text))
	}
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY----- Proc-Type: 4,ENCRYPTED DEK-Info: AES-128-CBC,00 AAAA -----END RSA PRIVATE KEY-----"))
	f.Add([]byte(strings.Repeat("0", 64)))
	f.Add([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"))
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := decode(text)
		if err != nil {
			return
		}
		key, err := signer.ParseRawPrivateKey(t.Context(), out, nil)
		if err != nil {
			return
		}
		checkForms(t, pasted(string(out)), publicKey(t, key))
		k, ok := key.(ed25519.PrivateKey)
		if !ok {
			return
		}
		// A seed that is text, or hex digits in base64, is refused: no random one is.
		for form, text := range pastedSeed(k) {
			if got, err := parse(t, text); err == nil && !signer.SameKey(got.PublicKey(), publicKey(t, key)) {
				t.Errorf("%s: another key", form)
			}
		}
	})
}
