//go:build !windows

package file_test

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/otheruser"
	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
)

// A mounted Kubernetes secret is all symbolic links; a pipe would wait for its
// writer; and a key that others can read is what its owner should hear of.
func TestListUnix(t *testing.T) {
	dir := tempDir(t)
	mkdir(t, filepath.Join(dir, "..data"))
	pub := ssh.FingerprintSHA256(publicKey(t, writeKey(t, filepath.Join(dir, "..data", "mounted"))))
	symlink(t, filepath.Join("..data", "mounted"), filepath.Join(dir, "mounted"))
	symlink(t, "nowhere", filepath.Join(dir, "dangling"))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	openPub := ssh.FingerprintSHA256(publicKey(t, writeKey(t, open)))
	chmod(t, open, 0o644)
	want := []listed{{"mounted", pub, ""}, {"open", openPub, ""}}
	if diff := cmp.Diff(want, list(t, &file.Backend{Dir: dir})); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

func TestListUnreadable(t *testing.T) {
	if !otheruser.Run(t, otheruser.Nobody, otheruser.Nobody) {
		return
	}
	dir := tempDir(t)
	pub := ssh.FingerprintSHA256(publicKey(t, writeKey(t, filepath.Join(dir, "mine"))))
	writeKey(t, filepath.Join(dir, "hidden"))
	chmod(t, filepath.Join(dir, "hidden"), 0)
	if diff := cmp.Diff([]listed{{"mine", pub, ""}}, list(t, &file.Backend{Dir: dir})); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	chmod(t, dir, 0)
	defer chmod(t, dir, 0o700)
	if _, err := (&file.Backend{Dir: dir}).List(t.Context()); !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), dir) {
		t.Errorf("List of a closed folder: %v, want ErrDenied and the path", err)
	}
}

// What ssh-keygen makes tells its public half and its comment, locked or not.
func TestListWhatSSHKeygenMakes(t *testing.T) {
	for _, args := range [][]string{nil, {"-N", "secret"}, {"-t", "rsa", "-m", "PEM", "-N", "secret"}} {
		path := sshkeygen.New(t, args...)
		want := []listed{{"key", ssh.FingerprintSHA256(sshkeygen.PublicKey(t, path)), "test"}}
		if diff := cmp.Diff(want, list(t, &file.Backend{Dir: filepath.Dir(path)})); diff != "" {
			t.Errorf("%q: List (-want +got):\n%s", args, diff)
		}
	}
}
