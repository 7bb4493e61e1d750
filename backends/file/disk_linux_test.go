package file_test

import (
	"errors"
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
)

// writing holds the system calls that write a key.
var writing = []uintptr{
	unix.SYS_FSYNC, unix.SYS_FCHMOD, unix.SYS_WRITE, unix.SYS_CLOSE,
	unix.SYS_MKDIRAT, unix.SYS_FCHMODAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT,
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
	var names []string
	err := generateWatched(t, filepath.Join(dir, "key"), func(c faults.Call) syscall.Errno {
		switch c.Number {
		case unix.SYS_FSYNC:
			synced[c.Path] = true
		case unix.SYS_MKDIRAT:
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
	err := generateWatched(t, filepath.Join(tempDir(t), "new", "key"), func(c faults.Call) syscall.Errno {
		calls = append(calls, c)
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, broken := range calls {
		if broken.Number == unix.SYS_RENAMEAT2 { // TestGenerateWithoutRename
			continue
		}
		if broken.Number == unix.SYS_CLOSE && !strings.HasSuffix(broken.Path, ".tmp") {
			continue // it was open for reading
		}
		dir := tempDir(t)
		path := filepath.Join(dir, "new", "key")
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
		if !slices.Contains([]string{"new", "new/key", "new/key.pub"}, name) {
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

// A system may refuse any of the calls.
func TestGenerateIsDenied(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		for _, number := range []uintptr{unix.SYS_MKDIRAT, unix.SYS_FCHMODAT, unix.SYS_FCHMOD, unix.SYS_WRITE, unix.SYS_LINKAT} {
			err := generateWatched(t, filepath.Join(tempDir(t), "new", "key"), func(c faults.Call) syscall.Errno {
				if c.Number == number || number == unix.SYS_LINKAT && c.Number == unix.SYS_RENAMEAT2 {
					return errno
				}
				return 0
			})
			if !errors.Is(err, signer.ErrDenied) {
				t.Errorf("call %d gives %v: Generate = %v, want ErrDenied", number, errno, err)
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
