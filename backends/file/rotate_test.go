package file_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A running process uses the new key from the next signature on; who holds the
// old one signs with that to the end.
func TestRotation(t *testing.T) {
	tests := []struct {
		name string
		lay  func(t *testing.T, dir, generation string) ssh.PublicKey // puts a key at dir/key
	}{
		{"renamed over", func(t *testing.T, dir, _ string) ssh.PublicKey {
			key := writeKey(t, filepath.Join(dir, "next"))
			rename(t, filepath.Join(dir, "next"), filepath.Join(dir, "key"))
			return publicKey(t, key)
		}},
		{"removed and made anew", func(t *testing.T, dir, generation string) ssh.PublicKey {
			os.Remove(filepath.Join(dir, "key"))
			return rewrite(t, dir, generation)
		}},
		{"rewritten in place", rewrite},
		{"Kubernetes secret", laySecret},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tempDir(t)
			keys := &signer.Keeper{Backend: new(file.Backend)}
			open := func() (signer.Signer, error) { return keys.Open(t.Context(), filepath.Join(dir, "key")) }

			oldPub := tt.lay(t, dir, "1")
			before, err := open()
			if err != nil {
				t.Fatal(err)
			}
			checkSigns(t, before, oldPub)
			if again, err := open(); err != nil || again != before {
				t.Errorf("an unchanged key was opened again: %v", err)
			}

			newPub := tt.lay(t, dir, "second")
			after, err := open()
			if err != nil {
				t.Fatal(err)
			}
			checkSigns(t, after, newPub)
			checkSigns(t, before, oldPub)
		})
	}
}

// rewrite lays a file that is longer with each generation: it may get the same
// inode, and the clock of a file system may be coarse.
func rewrite(t *testing.T, dir, generation string) ssh.PublicKey {
	key := signertest.NewKey(t)
	write(t, filepath.Join(dir, "key"), append([]byte(generation+"\n"), openSSH(t, key)...))
	return publicKey(t, key)
}

// laySecret lays a key as kubelet mounts secrets: key -> ..data/key, and
// ..data -> a directory for each generation, which is swapped.
func laySecret(t *testing.T, dir, generation string) ssh.PublicKey {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	data := "..generation-" + generation
	if err := os.Mkdir(filepath.Join(dir, data), 0o700); err != nil {
		t.Fatal(err)
	}
	key := writeKey(t, filepath.Join(dir, data, "key"))
	symlink(t, data, filepath.Join(dir, "..data_tmp"))
	rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
	if _, err := os.Lstat(filepath.Join(dir, "key")); err != nil {
		symlink(t, filepath.Join("..data", "key"), filepath.Join(dir, "key"))
	}
	return publicKey(t, key)
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
