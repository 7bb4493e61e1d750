package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// hostile is text that erases a line, changes colours and turns the direction of
// writing.
const hostile = "a\u009b2K\u202eb\u2066\u200b"

// hostileServer answers with hostile text at every place.
func hostileServer(t *testing.T, field string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if field != "" {
			w.Header().Set("WWW-Authenticate", strings.ReplaceAll(field, "HOST", "http://"+req.Host))
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error": "%s\u001b[31m", "token": "x"}`, hostile)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestForeignTextIsPrintable runs all commands where servers, file names, the
// configuration and the command line hold hostile text.
func TestForeignTextIsPrintable(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: file names on Windows hold no control characters")
	}
	escape := hostile + "\x1b[31m"
	home := filepath.Join(t.TempDir(), escape)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	if err := os.MkdirAll(filepath.Join(home, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(home)
	runHere(t, "", "key", "generate", "file:key")
	for _, err := range []error{
		os.Symlink(escape, "link"), os.WriteFile("empty"+hostile, nil, 0o600), os.WriteFile("open"+hostile, []byte("-----BEGIN OPENSSH PRIVATE KEY-----"), 0o644),
		os.WriteFile("good.toml", []byte("keys = [\"file:open"+hostile+"\"]\n[file]\nfolder = \""+strings.ReplaceAll(filepath.Join(home, "keys"), "\x1b", "\\u001b")+"\"\n"), 0o600),
		os.WriteFile("twice.toml", []byte("\"\\u001b[31m"+hostile+"\" = 1\n\"\\u001b[31m"+hostile+"\" = 2\n"), 0o600),
		os.WriteFile("unknown.toml", []byte("\"\\u001b[31m"+hostile+"\" = 1\n"), 0o600),
		os.WriteFile("store.toml", []byte("keyring.stores = [\"\\u001b"+hostile+"\"]\n[platform.\"\\u001b"+hostile+"\"]\n[registry.\"\\u001b"+hostile+"\"]\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var lines [][]string
	for _, server := range []*httptest.Server{
		hostileServer(t, ""), hostileServer(t, hostile), hostileServer(t, `Bearer realm="HOST/`+hostile+`",service="`+hostile+`",scope="`+hostile+`"`),
		hostileServer(t, `Bearer realm="https://`+hostile+`.example/",service="s"`), hostileServer(t, `Bearer realm="https://`+hostile+`"`),
		hostileServer(t, `Bearer realm="`+strings.Repeat("x", 4<<20)+`"`), hostileServer(t, strings.Repeat("x ", 2<<20)),
	} {
		for _, command := range []string{"get", "token", "whoami", "doctor", "connect"} {
			lines = append(lines, []string{command, server.URL, "--key", "file:key", "--timeout", "1s"})
		}
		lines = append(lines, []string{"doctor", "--json", server.URL, "--key", "file:key"})
	}
	for _, file := range []string{"open" + hostile, "empty" + hostile, "link", escape, "absent" + hostile} {
		for _, command := range []string{"key show", "key export", "key delete --yes", "key generate"} {
			lines = append(lines, append(strings.Fields(command), "file:"+file))
		}
		lines = append(lines, []string{"key", "import", "file:new", file}, []string{"key", "copy", "file:" + file, "file:new"}, []string{"key", "copy", "file:key", "file:" + file},
			[]string{"whoami", "--key", "file:" + file}, []string{"whoami", "--json", "--key", "file:" + file}, []string{"doctor", "--key", "file:" + file}, []string{"doctor", "--json", "--key", "file:" + file},
			[]string{"config", "check", file}, []string{"key", "list", "--key", "file:" + file}, []string{"key", "list", "--json", "--key", "file:" + file},
			[]string{"get", "--passphrase-file", file, "http://127.0.0.1:1"}, []string{file}, []string{"key", file}, []string{"get", file}, []string{"get", "--" + file}, []string{"help", file},
			[]string{"config", "show", "--key", "file:" + file}, []string{"config", "show", "--json", "--key", "file:" + file}, []string{"doctor", "--passphrase-file", file})
	}
	for _, line := range lines {
		checkPrintable(t, line, runHere(t, "", line...))
	}
	for _, file := range []string{"good.toml", "twice.toml", "unknown.toml", "store.toml", escape} {
		t.Setenv("COUNTERSIGN_CONFIG", filepath.Join(home, file))
		for _, line := range []string{"config path", "config check", "config show", "config show --json", "whoami", "whoami --json", "doctor", "doctor --json", "key list", "key list --json"} {
			checkPrintable(t, []string{file, line}, runHere(t, "", strings.Fields(line)...))
		}
	}
}

// checkPrintable wants an output that is short and has no character that a terminal
// obeys.
func checkPrintable(t *testing.T, line []string, output string) {
	t.Helper()
	const enough = 16 << 10
	if len(output) > enough {
		t.Errorf("%q prints %d bytes", line, len(output))
		output = output[:enough]
	}
	if err := printableError(output); err != nil {
		t.Errorf("%q: %v:\n%q", line, err, output)
	}
}

func printableError(output string) error {
	for _, r := range output {
		if r != '\n' && !strconv.IsPrint(r) {
			return fmt.Errorf("%U", r)
		}
	}
	if output == "" {
		return errors.New("no output")
	}
	return nil
}
