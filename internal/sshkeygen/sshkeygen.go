// Package sshkeygen makes keys with the real ssh-keygen, for tests.
package sshkeygen

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// New makes a key in a folder of its own and returns the path of the private
// half. The key is Ed25519 without a passphrase unless args, which are options of
// ssh-keygen, change that.
func New(t testing.TB, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	defaults := []string{"-q", "-f", path, "-t", "ed25519", "-N", "", "-C", "test", "-a", "1"}
	run(t, "ssh-keygen", append(defaults, args...)...)
	return path
}

// Change rewrites the key at path with another passphrase, format or cipher.
func Change(t testing.TB, path string, args ...string) {
	t.Helper()
	run(t, "ssh-keygen", append([]string{"-q", "-p", "-f", path, "-a", "1"}, args...)...)
}

// PublicKey reads the public half of the key at path as ssh-keygen wrote it.
func PublicKey(t testing.TB, path string) ssh.PublicKey {
	t.Helper()
	line, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// Ciphers returns the ciphers that ssh-keygen -Z accepts.
func Ciphers(t testing.TB) []string {
	t.Helper()
	return strings.Fields(run(t, "ssh", "-Q", "cipher"))
}

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" && runtime.GOOS != "windows" { // Wine has none
			t.Fatalf("%v: apt-get install openssh-client", err)
		}
		t.Skipf("SKIPPED: %v: install openssh-client", err)
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
	return string(out)
}
