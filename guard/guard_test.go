package guard_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

type sample struct {
	Name  string
	Class guard.Purpose
	Hex   string
}

// crossProtocol reads what other protocols sign.
func crossProtocol(t testing.TB) []sample {
	t.Helper()
	var file struct{ Samples []sample }
	readJSON(t, "testdata/cross_protocol.json", &file)
	if len(file.Samples) != 25 {
		t.Fatalf("%d samples, want 25", len(file.Samples))
	}
	return file.Samples
}

// ollamaSigned reads what Ollama's own code signed.
func ollamaSigned(t testing.TB) []string {
	t.Helper()
	var file struct {
		Vectors []struct {
			Signed string `json:"signed_string"`
		}
	}
	readJSON(t, "../challenge/testdata/ollama.json", &file)
	var all []string
	for _, v := range file.Vectors {
		if v.Signed != "" {
			all = append(all, v.Signed)
		}
	}
	if len(all) != 34 {
		t.Fatalf("%d signed texts, want 34", len(all))
	}
	return all
}

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func TestPurposeOfSamples(t *testing.T) {
	for _, s := range crossProtocol(t) {
		msg, err := hex.DecodeString(s.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := guard.PurposeOf(msg); got != s.Class {
			t.Errorf("%s: %s, want %s", s.Name, got, s.Class)
		}
		ollama := s.Class == guard.Registry || s.Class == guard.API
		if err := guard.Check(msg, requests...); (err == nil) != ollama {
			t.Errorf("%s: Check: %v", s.Name, err)
		}
	}
}

func TestPurposeOfOllama(t *testing.T) {
	for _, signed := range ollamaSigned(t) {
		want := guard.API
		if strings.HasPrefix(signed, "GET,http") {
			want = guard.Registry
		}
		if got := guard.PurposeOf([]byte(signed)); got != want {
			t.Errorf("%s: %s, want %s", signed, got, want)
		}
	}
}

type purposeRow struct {
	purpose guard.Purpose
	name    string
	text    string
}

// purposeRows reads texts that differ in details, each with its purpose.
func purposeRows(t testing.TB) []purposeRow {
	t.Helper()
	data, err := os.ReadFile("testdata/purposes.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []purposeRow
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			t.Fatalf("%q: want three fields", line)
		}
		text, err := strconv.Unquote(fields[2])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		rows = append(rows, purposeRow{guard.Purpose(fields[0]), fields[1], text})
	}
	return rows
}

func TestPurposeOf(t *testing.T) {
	rows := purposeRows(t)
	seen := map[guard.Purpose]bool{}
	for _, row := range rows {
		seen[row.purpose] = true
		t.Run(row.name, func(t *testing.T) {
			if got := guard.PurposeOf([]byte(row.text)); got != row.purpose {
				t.Errorf("PurposeOf(%q) = %s, want %s", row.text, got, row.purpose)
			}
		})
	}
	for _, s := range crossProtocol(t) {
		seen[s.Class] = true
	}
	if len(seen) != 16 {
		t.Errorf("texts of %d purposes, want 16: %v", len(seen), slices.Sorted(maps.Keys(seen)))
	}
}

// wire joins strings of the SSH wire format and single bytes.
func wire(parts ...any) string {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		}
	}
	return string(b)
}

var requests = []guard.Purpose{guard.Registry, guard.API}

func TestCheckTellsReason(t *testing.T) {
	login := wire("secret session id", 50, "secret user", "ssh-connection", "publickey", 1)
	for _, tt := range []struct {
		msg     string
		allowed []guard.Purpose
		want    string
	}{
		{login, requests, "refused to sign: the signature would be valid for an SSH login (ssh.userauth): only ollama.registry and ollama.api are allowed"},
		{login, []guard.Purpose{guard.SSHSig}, "refused to sign: the signature would be valid for an SSH login (ssh.userauth): only sshsig is allowed"},
		{"secret words", requests, "refused to sign: the text belongs to no known protocol (raw): only ollama.registry and ollama.api are allowed"},
		{"secret words", []guard.Purpose{guard.API, guard.JWS, guard.DSSE}, "refused to sign: the text belongs to no known protocol (raw): only ollama.api, jws and dsse are allowed"},
		{"secret words", nil, "refused to sign: the text belongs to no known protocol (raw): no purpose is allowed"},
	} {
		err := guard.Check([]byte(tt.msg), tt.allowed...)
		if !errors.Is(err, guard.ErrPurpose) || err.Error() != tt.want {
			t.Errorf("got %q, want %q", err, tt.want)
		}
	}
}

// A counter is a signer that counts its signatures.
type counter struct {
	signer.Signer
	signatures int
}

func (c *counter) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	c.signatures++
	return c.Signer.Sign(ctx, msg)
}

func (c *counter) String() string { return "file:key" }

func (c *counter) Stale() bool { return c.signatures > 1 }

func TestOnly(t *testing.T) {
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	counted := &counter{Signer: key}
	allowed := []guard.Purpose{guard.API}
	s := guard.Only(counted, allowed...)
	allowed[0] = guard.Raw // no effect on s
	if ssh.FingerprintSHA256(s.PublicKey()) != ssh.FingerprintSHA256(key.PublicKey()) {
		t.Error("it has another public key")
	}
	if got := fmt.Sprint(s); got != "file:key" {
		t.Errorf("it prints as %q", got)
	}
	text := []byte("POST,/api/me?ts=1700000000")
	sig, err := s.Sign(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.PublicKey().Verify(text, sig); err != nil {
		t.Error(err)
	}
	if signer.IsStale(s) {
		t.Error("it is stale, and its signer is not")
	}
	for _, row := range purposeRows(t) {
		before := counted.signatures
		sig, err := s.Sign(t.Context(), []byte(row.text))
		switch allowed := row.purpose == guard.API; {
		case allowed && err != nil:
			t.Errorf("%s: %v", row.name, err)
		case !allowed && (!errors.Is(err, guard.ErrPurpose) || sig != nil || counted.signatures != before):
			t.Errorf("%s (%s): got %v, %v and %d signatures, want ErrPurpose", row.name, row.purpose, sig, err, counted.signatures-before)
		}
	}
	if !signer.IsStale(s) {
		t.Error("it is not stale, and its signer is")
	}
	if _, err := guard.Only(counted).Sign(t.Context(), text); !errors.Is(err, guard.ErrPurpose) {
		t.Errorf("with nothing allowed: %v", err)
	}
}

func TestOnlySignAlgorithm(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		t.Fatal(err)
	}
	counted := &counter{Signer: key}
	text := []byte("POST,/api/me?ts=1700000000")
	for _, algorithm := range []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} {
		sig, err := signer.SignAlgorithm(t.Context(), guard.Only(key, guard.API), text, algorithm)
		if err != nil || sig.Format != algorithm {
			t.Errorf("%s: got %v, %v", algorithm, sig, err)
		}
		sig, err = signer.SignAlgorithm(t.Context(), guard.Only(counted, guard.Registry), text, algorithm)
		if !errors.Is(err, guard.ErrPurpose) || sig != nil || counted.signatures > 0 {
			t.Errorf("%s: got %v, %v, want ErrPurpose", algorithm, sig, err)
		}
	}
}

func FuzzPurposeOf(f *testing.F) {
	for _, s := range crossProtocol(f) {
		msg, err := hex.DecodeString(s.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
	}
	for _, signed := range ollamaSigned(f) {
		f.Add([]byte(signed))
	}
	for _, row := range purposeRows(f) {
		f.Add([]byte(row.text))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		purpose := guard.PurposeOf(msg)
		ollama := purpose == guard.Registry || purpose == guard.API
		if ollama {
			checkOllamaForm(t, string(msg))
		}
		err := guard.Check(msg, requests...)
		if (err == nil) != ollama {
			t.Errorf("%s: Check: %v", purpose, err)
		}
		if err != nil && printable.Text(err.Error()) != err.Error() {
			t.Errorf("not printable: %q", err)
		}
	})
}

// checkOllamaForm checks what sets Ollama's texts apart from all other protocols.
func checkOllamaForm(t *testing.T, msg string) {
	t.Helper()
	method, _, ok := strings.Cut(msg, ",")
	if !ok || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		t.Errorf("%q does not start with a method", msg)
	}
	if strings.ContainsFunc(msg, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		t.Errorf("%q is not all graphic ASCII", msg)
	}
	if !strings.Contains(msg, "?ts=") && !strings.Contains(msg, "&ts=") {
		t.Errorf("%q has no ts", msg)
	}
}
