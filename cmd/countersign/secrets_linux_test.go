package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer/signertest"
)

// spy stands for a program and notes what it is called with, which others can
// see.
const spy = `#!/bin/sh
printf '%%s\n' "$0 $*" >>%[1]q
exec %[2]q "$@"
`

// TestSecretsStayIn looks for a key and its passphrase where they must not be: in
// what goes to stderr, and in the arguments of the programs that are called.
// Commands that fail count as well.
func TestSecretsStayIn(t *testing.T) {
	sh := withPass(t)
	calls := filepath.Join(sh.dir, "calls")
	bin := t.TempDir()
	for _, program := range []string{"pass", "gpg"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, program), fmt.Appendf(nil, spy, calls, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	key := signertest.NewKey(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	const passphrase = "correct horse battery staple"
	text := string(pem.EncodeToMemory(block))
	seed := hex.EncodeToString(key.Seed())
	if err := os.WriteFile(filepath.Join(sh.dir, "pass"), []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	sh.env = append([]string{"PLAIN=" + text, "SEED=" + seed, "BROKEN=" + text[:len(text)/2], "PATH=" + bin + ":" + os.Getenv("PATH")}, sh.env[1:]...)

	var seen bytes.Buffer
	for _, command := range []string{
		"import keyring:a", "import file:a --new-passphrase-file pass", "import file:a", "import env:A",
		"copy file:a keyring:c", "copy keyring:a keyring:a", "copy keyring:a file:d",
		"copy env:SEED file:f", "copy env:BROKEN file:g", "copy env:" + seed + " file:h", "copy file:d file:" + seed,
		"export keyring:a", "export file:a", "export file:a --passphrase-fd 0",
		"passphrase keyring:p --passphrase-file pass", "show keyring:p", "list", "delete keyring:a --yes", "delete file:d",
	} {
		cmd := exec.CommandContext(t.Context(), "countersign", append([]string{"key"}, strings.Fields(command)...)...)
		cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stderr = sh.dir, sh.env, strings.NewReader(text), &seen
		fmt.Fprintf(&seen, "$ key %s\n", strings.Fields(command)[0])
		_ = cmd.Run()
	}
	argv, err := os.ReadFile(calls)
	if err != nil || !strings.Contains(string(argv), "pass insert") || !strings.Contains(string(argv), "gpg") {
		t.Fatalf("no call was seen: %v\n%s", err, argv)
	}
	seen.Write(argv)
	secrets := append(inBase64(key.Seed()), seed, string(key.Seed()), passphrase)
	if found := find(seen.String(), secrets); found != "" {
		t.Errorf("%q is in what others see:\n%s", found, &seen)
	}
	if out := sh.run(0, "", "countersign", "key", "export", "env:PLAIN"); find(out, secrets) == "" {
		t.Error("this test does not know a key when it sees one")
	}
}

// find looks for secrets over the ends of lines.
func find(text string, secrets []string) string {
	text = strings.ReplaceAll(text, "\n", "")
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			return secret
		}
	}
	return ""
}

// inBase64 returns what of secret is in any text that it is part of: it may begin
// at each of three bits.
func inBase64(secret []byte) []string {
	var all []string
	for skip := range 3 {
		rest := secret[skip:]
		all = append(all, base64.StdEncoding.EncodeToString(rest[:len(rest)/3*3]))
	}
	return all
}
