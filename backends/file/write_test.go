package file_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestGenerate(t *testing.T) {
	dir := tempDir(t)
	path := filepath.Join(dir, "new", "directories", "key")
	s, err := new(file.Backend).Generate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, s.PublicKey())
	checkOpens(t, path, s.PublicKey())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sign(ended, nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), path) {
		t.Errorf("Sign when its time is up = %v, want context.Canceled and the path", err)
	}

	files := tree(t, dir)
	if !strings.Contains(files["new/directories/key"], "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		t.Error("the key is not in OpenSSH's format")
	}
	want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey()))) + " countersign\n"
	if got := strings.TrimLeft(files["new/directories/key.pub"], "-"); got != want {
		t.Errorf("key.pub is %q, want %q", got, want)
	}
	delete(files, "new")
	delete(files, "new/directories")
	delete(files, "new/directories/key")
	delete(files, "new/directories/key.pub")
	if len(files) > 0 {
		t.Errorf("left behind: %q", slices.Collect(maps.Keys(files)))
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	other := signertest.NewKey(t)
	tests := []struct {
		name string
		lay  func(t *testing.T, path string)
		want string // in the error
	}{
		{"key", func(t *testing.T, path string) { writeKey(t, path) }, ""},
		{"empty file", func(t *testing.T, path string) { write(t, path, nil) }, ""},
		{"directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"symbolic link to nothing", func(t *testing.T, path string) {
			if runtime.GOOS == "windows" {
				t.Skip("symbolic links need a privilege on Windows")
			}
			symlink(t, "nowhere", path)
		}, "a symbolic link to nowhere"},
		{"another key's .pub", func(t *testing.T, path string) {
			write(t, path+".pub", ssh.MarshalAuthorizedKey(publicKey(t, other)))
		}, "move it away"},
		{".pub that is none", func(t *testing.T, path string) { write(t, path+".pub", []byte("hello")) }, "move it away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tempDir(t)
			path := filepath.Join(dir, "key")
			tt.lay(t, path)
			before := tree(t, dir)

			b := new(file.Backend)
			_, err := b.Generate(t.Context(), path)
			for op, err := range map[string]error{"Generate": err, "Import": b.Import(t.Context(), path, signertest.NewKey(t))} {
				if !errors.Is(err, signer.ErrExists) {
					t.Errorf("%s = %v, want ErrExists", op, err)
				} else if !strings.Contains(err.Error(), path) || !strings.Contains(told(err), tt.want) {
					t.Errorf("%s = %v, want the path and %q", op, err, tt.want)
				} else if strings.Contains(err.Error(), "is a symbolic link") != strings.Contains(tt.want, "symbolic link") {
					t.Errorf("%s = %v: is it a symbolic link?", op, err)
				}
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestImport(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	bare := &rsa.PrivateKey{PublicKey: rsaKey.PublicKey, D: rsaKey.D, Primes: rsaKey.Primes} // nothing precomputed
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"Ed25519": signertest.NewKey(t), "ECDSA": ecKey, "RSA": rsaKey, "RSA, not precomputed": bare,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(tempDir(t), "key")
			b := new(file.Backend)
			if err := b.Import(t.Context(), path, key); err != nil {
				t.Fatal(err)
			}
			checkOpens(t, path, publicKey(t, key))
			exported, err := b.Export(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if !key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(exported) {
				t.Error("Export gave another key")
			}
		})
	}
}

func TestImportManyPrimes(t *testing.T) {
	key, err := rsa.GenerateMultiPrimeKey(rand.Reader, 3, 2048) //lint:ignore SA1019 such keys are still met
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	err = new(file.Backend).Import(t.Context(), filepath.Join(dir, "key"), key)
	if !errors.Is(err, signer.ErrUnsupported) || len(tree(t, dir)) > 0 {
		t.Errorf("Import = %v, want ErrUnsupported and no file", err)
	}
}

// A key that comes back from a backup finds its .pub where it was.
func TestImportBesideItsPub(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	key := signertest.NewKey(t)
	line := append([]byte("restrict "), ssh.MarshalAuthorizedKey(publicKey(t, key))...)
	write(t, path+".pub", line)
	if err := new(file.Backend).Import(t.Context(), path, key); err != nil {
		t.Fatal(err)
	}
	checkOpens(t, path, publicKey(t, key))
	if got, err := os.ReadFile(path + ".pub"); string(got) != string(line) {
		t.Errorf("the .pub was %q, is %q, %v", line, got, err)
	}
}

// A file where a directory should be.
func TestGenerateBelowFile(t *testing.T) {
	dir := tempDir(t)
	write(t, filepath.Join(dir, "file"), nil)
	path := filepath.Join(dir, "file", "key")
	if _, err := new(file.Backend).Generate(t.Context(), path); err == nil || !strings.Contains(err.Error(), "file") {
		t.Errorf("Generate = %v", err)
	}
}
