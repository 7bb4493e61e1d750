package file_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/faults"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// writing holds the system calls that write a key.
var writing = []uintptr{
	unix.SYS_FSYNC, unix.SYS_FCHMOD, unix.SYS_FLOCK, unix.SYS_WRITE, unix.SYS_CLOSE,
	unix.SYS_MKDIRAT, unix.SYS_FCHMODAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_UNLINKAT,
}

// generateWatched generates a key at path, below a tempDir, while decide sees the
// calls there that write.
func generateWatched(t *testing.T, path string, decide func(faults.Call) syscall.Errno) error {
	t.Helper()
	var err error
	inTest := func(c faults.Call) syscall.Errno {
		if !strings.Contains(c.Path, "/countersign-test-") { // package testing writes a log
			return 0
		}
		return decide(c)
	}
	faults.Watch(t, writing, inTest, func() { _, err = new(file.Backend).Generate(t.Context(), path) })
	return err
}

// A machine that loses its power keeps no name whose content is not on the disk.
func TestGenerateSyncs(t *testing.T) {
	top := tempDir(t)
	dir := filepath.Join(top, "new", "directories")
	synced := map[string]bool{}
	var names, made []string
	err := generateWatched(t, filepath.Join(dir, "key"), func(c faults.Call) syscall.Errno {
		switch c.Number {
		case unix.SYS_FSYNC:
			synced[c.Path] = true
		case unix.SYS_MKDIRAT:
			made = append(made, c.Path)
			delete(synced, filepath.Dir(c.Path))
		case unix.SYS_RENAMEAT2:
			if names = append(names, c.Path); !synced[c.Path] {
				t.Errorf("%s gets its name before it is on the disk", c.Path)
			}
			delete(synced, dir)
		}
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Dir(dir), dir}, made); diff != "" {
		t.Errorf("the directories made are others (-want +got):\n%s", diff)
	}
	if len(names) != 2 {
		t.Errorf("%q were renamed, want a key and its public half", names)
	}
	for _, d := range []string{top, filepath.Dir(dir), dir} {
		if !synced[d] {
			t.Errorf("the names in %s are not on the disk", d)
		}
	}
}

// Each call that writes fails once. Generate then reports it and leaves no half
// of a key and no temporary file.
func TestGenerateOnBrokenDisk(t *testing.T) {
	var calls []faults.Call
	err := generateWatched(t, filepath.Join(tempDir(t), "new", "directory", "key"), func(c faults.Call) syscall.Errno {
		calls = append(calls, c)
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, broken := range calls {
		switch broken.Number {
		case unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT: // see TestGenerateWithoutRename
			continue
		case unix.SYS_CLOSE: // it was open for reading, or its content is on the disk
			continue
		case unix.SYS_FLOCK: // see TestGenerateWithoutLocks
			continue
		}
		dir := tempDir(t)
		path := filepath.Join(dir, "new", "directory", "key")
		n := -1
		err := generateWatched(t, path, func(faults.Call) syscall.Errno {
			if n++; n == i {
				return syscall.EIO
			}
			return 0
		})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d of %d, %+v, fails: Generate = %v", i, len(calls), broken, err)
		}
		checkNoneOrWhole(t, dir, path)
	}
}

// checkNoneOrWhole checks that path has no key or a whole one, and that nothing
// else is in dir.
func checkNoneOrWhole(t *testing.T, dir, path string) {
	t.Helper()
	for name := range tree(t, dir) {
		if !slices.Contains([]string{"new", "new/directory", "new/directory/key", "new/directory/key.pub"}, name) {
			t.Errorf("it left %s", name)
		}
	}
	_, err := new(file.Backend).Open(t.Context(), path)
	if err != nil && !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("it left a key that does not open: %v", err)
	}
}

// NFS has no rename that leaves an existing name alone, but hard links.
func TestGenerateWithoutRename(t *testing.T) {
	dir := tempDir(t)
	path := filepath.Join(dir, "key")
	noRename := func(c faults.Call) syscall.Errno {
		if c.Number == unix.SYS_RENAMEAT2 {
			return syscall.EINVAL
		}
		return 0
	}
	if err := generateWatched(t, path, noRename); err != nil {
		t.Fatal(err)
	}
	files := tree(t, dir)
	if len(files) != 2 || files["key"] == "" || files["key.pub"] == "" {
		t.Errorf("the directory has %q, want a key and its public half", files)
	}
	if err := generateWatched(t, path, noRename); !errors.Is(err, signer.ErrExists) {
		t.Errorf("Generate where a key is = %v, want ErrExists", err)
	}
	err := generateWatched(t, filepath.Join(dir, "other"), func(c faults.Call) syscall.Errno {
		if c.Number == unix.SYS_LINKAT {
			return syscall.EIO
		}
		return noRename(c)
	})
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("Generate with neither rename nor links = %v", err)
	}
}

// Another process takes the name after Generate has looked.
func TestGenerateLosesRace(t *testing.T) {
	for _, name := range []string{"key", "key.pub"} {
		dir := tempDir(t)
		err := generateWatched(t, filepath.Join(dir, "key"), func(c faults.Call) syscall.Errno {
			if c.Number == unix.SYS_RENAMEAT2 {
				_ = os.WriteFile(filepath.Join(dir, name), []byte("other"), 0o600)
			}
			return 0
		})
		if !errors.Is(err, signer.ErrExists) || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("Generate = %v, want ErrExists and %s", err, name)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != "other" {
			t.Errorf("%s of the other process is now %q, %v", name, got, err)
		}
	}
}

// Another process removes or replaces the key before Generate has read it again.
func TestGenerateKeyIsReplaced(t *testing.T) {
	for _, other := range [][]byte{nil, openSSH(t, signertest.NewKey(t))} {
		dir := tempDir(t)
		path := filepath.Join(dir, "key")
		var s signer.Signer
		var err error
		faults.Watch(t, writing, func(c faults.Call) syscall.Errno {
			if c.Number == unix.SYS_FSYNC && c.Path == dir {
				_ = os.Remove(path)
				if other != nil {
					_ = os.WriteFile(path, other, 0o600)
				}
			}
			return 0
		}, func() { s, err = new(file.Backend).Generate(t.Context(), path) })
		switch {
		case other == nil && !errors.Is(err, signer.ErrNotFound):
			t.Errorf("the key is removed: Generate = %v, want ErrNotFound", err)
		case other != nil && err != nil:
			t.Errorf("the key is replaced: Generate = %v", err)
		case other != nil && !s.(signer.Staler).Stale():
			t.Error("the key is replaced, and the Signer is not stale")
		}
	}
}

// While a directory is made, others cannot read it, whatever the umask is.
func TestGenerateClosesNewDirectory(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	err := generateWatched(t, filepath.Join(tempDir(t), "new", "key"), func(c faults.Call) syscall.Errno {
		if c.Number == unix.SYS_FCHMODAT {
			if info, err := os.Stat(c.Path); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v, %v", c.Path, info.Mode(), err)
			}
		}
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Delete reports each call that fails, and the key's name is gone for good.
func TestDeleteOnBrokenDisk(t *testing.T) {
	for name, tt := range map[string]struct {
		number uintptr
		suffix string // of the path
		errno  syscall.Errno
		want   error
	}{
		"public half is denied": {unix.SYS_UNLINKAT, ".pub", syscall.EACCES, signer.ErrDenied},
		"public half":           {unix.SYS_UNLINKAT, ".pub", syscall.EIO, syscall.EIO},
		"key":                   {unix.SYS_UNLINKAT, "key", syscall.EIO, syscall.EIO},
		"directory":             {unix.SYS_FSYNC, "", syscall.EIO, syscall.EIO},
	} {
		dir := tempDir(t)
		path := filepath.Join(dir, "key")
		b := new(file.Backend)
		if _, err := b.Generate(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		var err error
		faults.Watch(t, writing, func(c faults.Call) syscall.Errno {
			if c.Number == tt.number && strings.HasSuffix(c.Path, tt.suffix) {
				return tt.errno
			}
			return 0
		}, func() { err = b.Delete(t.Context(), path) })
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: Delete = %v, want %v", name, err, tt.want)
		}
	}
}

// Another process makes the same directory at the same time.
func TestGenerateSharesNewDirectory(t *testing.T) {
	path := filepath.Join(tempDir(t), "new", "key")
	err := generateWatched(t, path, func(c faults.Call) syscall.Errno {
		if c.Number == unix.SYS_MKDIRAT {
			_ = os.Mkdir(c.Path, 0o700)
		}
		return 0
	})
	if err != nil {
		t.Errorf("Generate = %v", err)
	}
}

// A FAT file system shows every file with the same permissions.
func TestGenerateWithoutPermissions(t *testing.T) {
	dir := tempDir(t)
	err := generateWatched(t, filepath.Join(dir, "key"), func(c faults.Call) syscall.Errno {
		if c.Number == unix.SYS_FSYNC && strings.HasSuffix(c.Path, ".tmp") {
			_ = os.Chmod(c.Path, 0o755)
		}
		return 0
	})
	if !errors.Is(err, signer.ErrInsecure) || !strings.Contains(err.Error(), "cannot hide") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Generate = %v, want ErrInsecure and the directory", err)
	}
	if diff := cmp.Diff(map[string]string{}, tree(t, dir)); diff != "" {
		t.Errorf("it left (-want +got):\n%s", diff)
	}
}

// A system may refuse any of the calls that need a permission.
func TestGenerateIsDenied(t *testing.T) {
	needs := []uintptr{unix.SYS_MKDIRAT, unix.SYS_FCHMODAT, unix.SYS_FCHMOD, unix.SYS_WRITE, unix.SYS_RENAMEAT2}
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		for refused := range 7 { // the last gives the key its name
			n := -1
			err := generateWatched(t, filepath.Join(tempDir(t), "new", "key"), func(c faults.Call) syscall.Errno {
				if slices.Contains(needs, c.Number) {
					n++
				}
				if n == refused && slices.Contains(needs, c.Number) || n >= refused && c.Number == unix.SYS_LINKAT {
					return errno
				}
				return 0
			})
			if n < refused {
				t.Fatalf("Generate made only %d such calls", n+1)
			}
			if !errors.Is(err, signer.ErrDenied) {
				t.Errorf("call %d gives %v: Generate = %v, want ErrDenied", refused, errno, err)
			}
		}
	}
}

// Some file systems cannot sync a directory; all can sync a file.
func TestGenerateWhereDirectoriesDoNotSync(t *testing.T) {
	dir := tempDir(t)
	var directories bool
	invalid := func(c faults.Call) syscall.Errno {
		if c.Number == unix.SYS_FSYNC && (c.Path == dir) == directories {
			return syscall.EINVAL
		}
		return 0
	}
	if err := generateWatched(t, filepath.Join(dir, "key"), invalid); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("no file is synced: Generate = %v, want EINVAL", err)
	}
	directories = true
	if err := generateWatched(t, filepath.Join(dir, "key"), invalid); err != nil {
		t.Errorf("no directory is synced: Generate = %v", err)
	}
}

// NFS may have no locks, and a signal may interrupt a lock.
func TestGenerateWithoutLocks(t *testing.T) {
	for errno, want := range map[syscall.Errno]int{syscall.ENOLCK: 2, syscall.EINTR: 3} {
		dir := tempDir(t)
		locks := 0
		err := generateWatched(t, filepath.Join(dir, "key"), func(c faults.Call) syscall.Errno {
			if c.Number != unix.SYS_FLOCK {
				return 0
			}
			if locks++; errno == syscall.EINTR && locks > 1 {
				return 0
			}
			return errno
		})
		if err != nil || locks != want {
			t.Errorf("flock gives %v: Generate = %v after %d calls, want %d", errno, err, locks, want)
		}
		if got := slices.Sorted(maps.Keys(tree(t, dir))); !slices.Equal(got, []string{"key", "key.pub"}) {
			t.Errorf("flock gives %v: the directory has %q", errno, got)
		}
	}
}

// Another process takes a new temporary file for abandoned, before it is locked.
func TestGenerateTemporaryFileIsRemoved(t *testing.T) {
	for _, tt := range []struct {
		name    string
		remove  bool
		errno   syscall.Errno
		removed int // files
		locks   int // calls of flock that are expected
		ok      bool
	}{
		{"removed", true, 0, 1, 3, true},
		{"locked", false, syscall.EWOULDBLOCK, 1, 3, true},
		{"removed without end", true, 0, 1000, 100, false},
	} {
		dir := tempDir(t)
		locks, closed := 0, 0
		var names []string
		err := generateWatched(t, filepath.Join(dir, "key"), func(c faults.Call) syscall.Errno {
			switch {
			case c.Number == unix.SYS_FLOCK:
				names = append(names, c.Path)
				if locks++; locks <= tt.removed {
					if tt.remove {
						_ = os.Remove(c.Path)
					}
					return tt.errno
				}
			case c.Number == unix.SYS_CLOSE && locks > 0 && strings.TrimSuffix(c.Path, " (deleted)") == names[0]:
				closed++
			}
			return 0
		})
		if (err == nil) != tt.ok || locks != tt.locks {
			t.Errorf("%s: Generate = %v after %d locks, want %d", tt.name, err, locks, tt.locks)
		}
		if closed != 1 {
			t.Errorf("%s: the file was closed %d times", tt.name, closed)
		}
		if tt.ok && names[0] == names[1] {
			t.Errorf("%s: the same file is used on", tt.name)
		}
		if _, err := os.Stat(filepath.Join(dir, "key")); (err == nil) != tt.ok {
			t.Errorf("%s: the key: %v", tt.name, err)
		}
	}
}
