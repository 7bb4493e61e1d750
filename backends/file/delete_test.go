package file_test

import (
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer/signertest"
)

func TestDelete(t *testing.T) {
	key := signertest.NewKey(t)
	pub := ssh.MarshalAuthorizedKey(publicKey(t, key))
	otherPub := ssh.MarshalAuthorizedKey(publicKey(t, signertest.NewKey(t)))
	private := openSSH(t, key)

	tests := []struct {
		name    string
		key     []byte
		pub     []byte // nil: none
		left    []string
		refused string // in the error
	}{
		{"pair", private, pub, nil, ""},
		{"key alone", private, nil, nil, ""},
		{"another key's .pub", private, otherPub, []string{"key.pub"}, ""},
		{"several keys in .pub", private, slices.Concat(pub, otherPub), []string{"key.pub"}, ""},
		{"damaged", private[:200], pub, []string{"key.pub"}, ""},
		{"empty", nil, nil, []string{"key"}, "no private key"},
		{"text", []byte("hello"), nil, []string{"key"}, "no private key"},
		{"public key", pub, nil, []string{"key"}, "no private key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tempDir(t)
			path := filepath.Join(dir, "key")
			write(t, path, tt.key)
			if tt.pub != nil {
				write(t, path+".pub", tt.pub)
			}
			err := new(file.Backend).Delete(t.Context(), path)
			if tt.refused == "" && err != nil {
				t.Errorf("Delete = %v", err)
			}
			if tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused) || !strings.Contains(err.Error(), path)) {
				t.Errorf("Delete = %v, want the path and %q", err, tt.refused)
			}
			if diff := cmp.Diff(tt.left, slices.Sorted(maps.Keys(tree(t, dir)))); diff != "" {
				t.Errorf("left files differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeleteDirectory(t *testing.T) {
	dir := tempDir(t)
	if err := new(file.Backend).Delete(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("Delete = %v", err)
	}
	tree(t, dir) // fails if it is gone
}

// To remove a link would leave the key that the user wants gone.
func TestDeleteSymlink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	dir := tempDir(t)
	writeKey(t, filepath.Join(dir, "key"))
	symlink(t, "key", filepath.Join(dir, "link"))
	before := tree(t, dir)
	err := new(file.Backend).Delete(t.Context(), filepath.Join(dir, "link"))
	if err == nil || !strings.Contains(err.Error(), "a symbolic link to key") {
		t.Errorf("Delete = %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
}
