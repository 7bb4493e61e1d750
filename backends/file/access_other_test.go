//go:build !windows

package file_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/otheruser"
	"github.com/countersign/countersign/signer"
)

func TestAccess(t *testing.T) {
	dir := filepath.Join(tempDir(t), "it's $HOME") // the command must survive it
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key")
	pub := publicKey(t, writeKey(t, path))
	b := new(file.Backend)

	for _, mode := range []os.FileMode{0o400, 0o600, 0o700} {
		chmod(t, path, mode)
		checkOpens(t, path, pub)
	}
	for _, mode := range []os.FileMode{0o604, 0o620, 0o640, 0o644, 0o601} {
		chmod(t, path, mode)
		_, openErr := b.Open(t.Context(), path)
		_, exportErr := b.Export(t.Context(), path)
		for op, err := range map[string]error{"Open": openErr, "Export": exportErr} {
			if !errors.Is(err, signer.ErrInsecure) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s of mode %o: %v, want ErrInsecure and the path", op, mode, err)
			}
		}
		if openErr == nil {
			continue
		}
		hint, _ := signer.HintOf(openErr)
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", hint.Do).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", hint.Do, err, out)
		}
		checkOpens(t, path, pub)
	}

	chmod(t, path, 0o644)
	if err := b.Delete(t.Context(), path); err != nil {
		t.Errorf("Delete of a key that is open to others: %v", err)
	}
}

// A link is open to all; what it leads to counts.
func TestAccessThroughSymlink(t *testing.T) {
	dir := tempDir(t)
	key := writeKey(t, filepath.Join(dir, "key"))
	symlink(t, "key", filepath.Join(dir, "link"))
	checkOpens(t, filepath.Join(dir, "link"), publicKey(t, key))
	chmod(t, filepath.Join(dir, "key"), 0o644)
	if _, err := new(file.Backend).Open(t.Context(), filepath.Join(dir, "link")); !errors.Is(err, signer.ErrInsecure) {
		t.Errorf("Open = %v, want ErrInsecure", err)
	}
}

// A mounted secret belongs to somebody else, and nobody here can change that.
func TestAccessOthersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give a file away")
	}
	path := filepath.Join(tempDir(t), "key")
	key := writeKey(t, path)
	chmod(t, path, 0o444)
	if err := os.Chown(path, otheruser.Nobody, otheruser.Nobody); err != nil {
		t.Fatal(err)
	}
	checkOpens(t, path, publicKey(t, key))
}

func TestUnreadable(t *testing.T) {
	if !otheruser.Run(t, otheruser.Nobody, otheruser.Nobody) {
		return
	}
	path := filepath.Join(tempDir(t), "key")
	writeKey(t, path)
	chmod(t, path, 0)
	b := new(file.Backend)
	_, openErr := b.Open(t.Context(), path)
	for op, err := range map[string]error{"Open": openErr, "Delete": b.Delete(t.Context(), path)} {
		if !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s = %v, want ErrDenied and the path", op, err)
		}
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	if !otheruser.Run(t, otheruser.Nobody, otheruser.Nobody) {
		return
	}
	dir := tempDir(t)
	writeKey(t, filepath.Join(dir, "key"))
	chmod(t, dir, 0o500)
	defer chmod(t, dir, 0o700)
	b := new(file.Backend)
	for _, name := range []string{"new", "directory/new"} {
		path := filepath.Join(dir, name)
		_, err := b.Generate(t.Context(), path)
		if !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), dir) {
			t.Errorf("Generate = %v, want ErrDenied and the directory", err)
		}
	}
	if _, err := b.Generate(t.Context(), filepath.Join(dir, "key")); !errors.Is(err, signer.ErrExists) {
		t.Errorf("Generate of an existing key = %v, want ErrExists", err)
	}
	if err := b.Delete(t.Context(), filepath.Join(dir, "key")); !errors.Is(err, signer.ErrDenied) {
		t.Errorf("Delete = %v, want ErrDenied", err)
	}
	if got := tree(t, dir); len(got) != 1 {
		t.Errorf("the directory holds %q", got)
	}
}

// The key could not be written, so nobody is asked for a passphrase.
func TestGenerateInClosedDirectory(t *testing.T) {
	if !otheruser.Run(t, otheruser.Nobody, otheruser.Nobody) {
		return
	}
	dir := tempDir(t)
	chmod(t, dir, 0)
	defer chmod(t, dir, 0o700)
	b := &file.Backend{NewPassphrase: func(context.Context, string) ([]byte, error) {
		t.Error("asked for a passphrase")
		return nil, errors.New("no answer")
	}}
	path := filepath.Join(dir, "key")
	if _, err := b.Generate(t.Context(), path); !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), path) {
		t.Errorf("Generate = %v, want ErrDenied and the path", err)
	}
}

func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o22, 0o77, 0o777} {
		top := tempDir(t)
		path := filepath.Join(top, "a", "b", "key")
		old := syscall.Umask(umask)
		_, err := new(file.Backend).Generate(t.Context(), path)
		syscall.Umask(old)
		if err != nil {
			t.Errorf("umask %o: %v", umask, err)
			continue
		}
		for name, want := range map[string]os.FileMode{
			"a": 0o700, "a/b": 0o700, "a/b/key": 0o600, "a/b/key.pub": 0o644,
		} {
			info, err := os.Stat(filepath.Join(top, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("umask %o: %s has mode %o, want %o", umask, name, got, want)
			}
		}
	}
}

// Directories that are there keep their mode.
func TestModesOfOthersDirectory(t *testing.T) {
	dir := tempDir(t)
	chmod(t, dir, 0o755)
	if _, err := new(file.Backend).Generate(t.Context(), filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory has %v, %v", info.Mode(), err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
