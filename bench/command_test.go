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

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
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

// A tokenProgram is one way to get a token from the command line.
type tokenProgram struct {
	name    string
	command []string
}

// A processTime is the time of one process and of those that it started.
type processTime struct{ computed, elapsed time.Duration }

// tokenPrograms prepares all programs for the resource at url.
func tokenPrograms(tb testing.TB, url string) []tokenProgram {
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
	if out, err := exec.Command("go", "build", "-C", "..", "-o", at("countersign"), "./cmd/countersign").CombinedOutput(); err != nil {
		tb.Fatalf("building the command: %v\n%s", err, out)
	}
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
	return []tokenProgram{
		{ourCommand, []string{at("countersign"), "token", "--key", "file:" + at("key"), url}},
		{shellScript, []string{"sh", "-c", script, "sh", url, at("key.pem"), public, emptyHash()}},
	}
}

// run runs the program once and returns its output.
func (p tokenProgram) run(tb testing.TB) (processTime, string) {
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

// commandTable has a row for each program.
func commandTable(t *testing.T) table {
	_, s := open(t, challengetest.Config{})
	all := tokenPrograms(t, resource(s))
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
			mark(p.name, p.name == ourCommand),
			significant(c.median() / 1e6), significant(c.over(measurement{ns: computed[0]})),
			significant(e.median() / 1e6), significant(e.over(measurement{ns: elapsed[0]})),
		})
	}
	return out
}
