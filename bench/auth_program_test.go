package main

import (
	"encoding/base64"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/ollama"
)

// TestSignInURLs runs the two functions of Ollama that print one. They are not
// exported, or only on two platforms, so they are taken from its source.
func TestSignInURLs(t *testing.T) {
	home := newHome(t)
	for _, c := range []struct{ dir, function, call, after string }{
		{"server", "signinURL", "signinURL()", ""},
		{"app/auth", "BuildConnectURL", `BuildConnectURL("https://ollama.com")`, "&launch=true"},
	} {
		t.Run(c.function, func(t *testing.T) {
			code, err := ollamaSource(t, c.dir).Extract("main", c.function)
			if err != nil {
				t.Fatal(err)
			}
			theirs := runAt(t, home, code+"func main() {\n\ts, err := "+c.call+"\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\tprint(s)\n}\n")
			u, err := url.Parse(theirs)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := ollama.SignInURL("https://ollama.com", readPublicKey(t, home), u.Query().Get("name"))
			if err != nil || ours+c.after != theirs {
				t.Errorf("got %s, %v\nwant %s", ours, err, theirs)
			}
		})
	}
}

// TestMovingPage runs the program of docs/moving-from-ollama.md with the import
// path that it has there, and with the one that it had before.
func TestMovingPage(t *testing.T) {
	page, err := os.ReadFile("../docs/moving-from-ollama.md")
	if err != nil {
		t.Fatal(err)
	}
	before, after := importLines.FindStringSubmatch(string(page)), program.FindStringSubmatch(string(page))
	if before == nil || after == nil || !strings.Contains(after[1], before[2]) {
		t.Fatalf("the page shows no change of an import path and a program with it: %q, %q", before, after)
	}
	home := newHome(t)
	theirs := runAt(t, home, strings.Replace(after[1], before[2], before[1], 1))
	ours := runAt(t, home, after[1])
	pub := base64.StdEncoding.EncodeToString(readPublicKey(t, home).Marshal())
	for _, got := range []string{theirs, ours} {
		if key, signature, _ := strings.Cut(got, ":"); key != pub || len(signature) != 88 {
			t.Errorf("got %q, want a signature by %s", got, pub)
		}
	}
}

var (
	importLines = regexp.MustCompile("(?m)^```diff\n-\t(.*)\n\\+\t(.*)$")
	program     = regexp.MustCompile("(?s)```go\n(package main\n.*?)```")
)

// runAt compiles code and returns what it prints with that home directory, and
// with nothing configured but Ollama's own key.
func runAt(t *testing.T, home, code string) string {
	t.Helper()
	dir := t.TempDir()
	file, exe := filepath.Join(dir, "main.go"), filepath.Join(dir, "main.exe")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", exe, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, code)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "HOME="+home, "USERPROFILE="+home,
		"COUNTERSIGN_CONFIG="+os.DevNull, "COUNTERSIGN_KEY=file:~/.ollama/id_ed25519")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}
