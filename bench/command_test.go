package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/agenttest"
)

const (
	ourCommand  = "countersign token"
	shellScript = "sh with curl and openssl"
)

// script gets a token with the programs that most machines have: from the URL of a
// resource, a PKCS#8 key file, the base64 of its public half and the hash of an empty
// body.
const script = `set -eu
challenge=$(curl -sS -o /dev/null -D - "$1" | tr -d '\r' | sed -n 's/^[Ww][Ww][Ww]-[Aa]uthenticate: Bearer //p')
parameter() { printf %s "$challenge" | sed -n "s/.*$1=\"\([^\"]*\)\".*/\1/p" | sed 's/%/%25/g; s/:/%3A/g; s/\//%2F/g; s/ /%20/g'; }
realm=$(printf %s "$challenge" | sed -n 's/.*realm="\([^"]*\)".*/\1/p')
nonce=$(openssl rand -base64 16 | tr '+/' '-_' | tr -d '=')
url="$realm?nonce=$nonce&scope=$(parameter scope)&service=$(parameter service)&ts=$(date +%s)"
message=$(mktemp)
trap 'rm -f "$message"' EXIT
printf 'GET,%s,%s' "$url" "$4" >"$message"
signature=$(openssl pkeyutl -sign -rawin -inkey "$2" -in "$message" | openssl base64 -A)
curl -sS -f -H "Authorization: $3:$signature" "$url" | sed -n 's/.*"token" *: *"\([^"]*\)".*/\1/p'
`

// A commandLine is one way to do something from the command line.
type commandLine struct {
	name    string
	command []string
}

// A processTime is the time of one process and of those that it started.
type processTime struct{ computed, elapsed time.Duration }

// tokenPrograms prepares the programs that get a token for the resource at url. The first
// is countersign.
func tokenPrograms(tb testing.TB, url string) []commandLine {
	tb.Helper()
	for _, name := range []string{"sh", "curl", "openssl"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				tb.Fatal(err)
			}
			tb.Skip("SKIPPED: ", err)
		}
	}
	dir := tb.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	command := buildCommand(tb)
	private, key := newKey(tb)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(at("config.toml"), nil, 0o600),
		os.WriteFile(at("key"), pem.EncodeToMemory(block), 0o600),
		os.WriteFile(at("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Setenv("COUNTERSIGN_CONFIG", at("config.toml"))
	public := base64.StdEncoding.EncodeToString(key.PublicKey().Marshal())
	return []commandLine{
		{ourCommand, []string{command, "token", "--key", "file:" + at("key"), url}},
		{shellScript, []string{"sh", "-c", script, "sh", url, at("key.pem"), public, emptyHash()}},
	}
}

// buildCommand builds countersign and returns its path.
func buildCommand(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "countersign")
	if out, err := exec.Command("go", "build", "-C", "..", "-o", path, "./cmd/countersign").CombinedOutput(); err != nil {
		tb.Fatalf("building the command: %v\n%s", err, out)
	}
	return path
}

// run runs the program once and returns its output.
func (p commandLine) run(tb testing.TB) (processTime, string) {
	tb.Helper()
	cmd := exec.Command(p.command[0], p.command[1:]...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	start := time.Now()
	err := cmd.Run()
	r := processTime{elapsed: time.Since(start)}
	if err != nil {
		tb.Fatalf("%s: %v\n%s", p.name, err, &problem)
	}
	r.computed = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, strings.TrimSpace(out.String())
}

func resource(s site) string { return s.url + "/v2/" + repo + "/manifests/latest" }

func TestCommand(t *testing.T) {
	registry, s := open(t, challengetest.Config{})
	for i, p := range tokenPrograms(t, resource(s)) {
		_, token := p.run(t)
		if token == "" || registry.Stats().Exchanges != i+1 {
			t.Errorf("%s got the token %q in %d exchanges", p.name, token, registry.Stats().Exchanges-i)
		}
	}
}

// signPrograms prepares the programs that sign a file with a key in ssh-agent. The first
// is countersign.
func signPrograms(t *testing.T) []commandLine {
	t.Helper()
	agenttest.Require(t, "ssh-keygen")
	socket, dir := agenttest.StartOpenSSH(t).Socket, t.TempDir()
	key := inAgent(t, socket)
	at := func(name string) string { return filepath.Join(dir, name) }
	opened := key.open(t)
	err := errors.Join(
		os.WriteFile(at("config.toml"), nil, 0o600),
		os.WriteFile(at("file"), message, 0o600),
		os.WriteFile(at("key.pub"), ssh.MarshalAuthorizedKey(opened.PublicKey()), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_CONFIG", at("config.toml"))
	t.Setenv("SSH_AUTH_SOCK", socket)
	return []commandLine{
		{"countersign sign", []string{buildCommand(t), "sign", "--namespace", "file", "--key", "agent:" + key.name, at("file")}},
		{"ssh-keygen -Y sign", []string{"sh", "-c", `exec ssh-keygen -q -Y sign -n file -f "$1" <"$2"`, "sh", at("key.pub"), at("file")}},
	}
}

// Two Ed25519 signatures of one text are the same.
func TestSignFile(t *testing.T) {
	var signatures []string
	for _, p := range signPrograms(t) {
		_, out := p.run(t)
		signatures = append(signatures, strings.ReplaceAll(out, "\n", "")) // their lines differ in length
	}
	if diff := cmp.Diff(signatures[0], signatures[1]); diff != "" || !strings.HasPrefix(signatures[0], "-----BEGIN SSH SIGNATURE-----") {
		t.Errorf("the signatures differ (-countersign +ssh-keygen):\n%s", diff)
	}
}

// commandTable has a row for each program, with ratios to the first.
func commandTable(t *testing.T, all []commandLine) table {
	computed, elapsed := make([][]float64, len(all)), make([][]float64, len(all))
	for range rounds {
		for i, p := range all {
			r, _ := p.run(t)
			computed[i] = append(computed[i], float64(r.computed))
			elapsed[i] = append(elapsed[i], float64(r.elapsed))
		}
	}
	out := table{head: []string{"", "ms computed", "ratio", "ms until it ends", "ratio"}}
	for i, p := range all {
		c, e := measurement{ns: computed[i]}, measurement{ns: elapsed[i]}
		out.rows = append(out.rows, []string{
			mark(p.name, i == 0),
			significant(c.median() / 1e6), significant(c.over(measurement{ns: computed[0]})),
			significant(e.median() / 1e6), significant(e.over(measurement{ns: elapsed[0]})),
		})
	}
	return out
}
