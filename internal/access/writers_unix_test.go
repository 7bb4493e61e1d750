//go:build unix

package access_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/otheruser"
	"github.com/countersign/countersign/signer"
)

const stranger = 12345 // a user other than root and the one who runs the test

// A tree is a folder with files, directories and links in it.
type tree struct {
	*testing.T
	root string // contains no link, unlike macOS's own folder for temporary files
}

func newTree(t *testing.T) tree {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tree{t, root}
}

func (tr tree) path(name string) string { return tr.root + "/" + name }

func (tr tree) must(errs ...error) {
	tr.Helper()
	if err := errors.Join(errs...); err != nil {
		tr.Fatal(err)
	}
}

func (tr tree) dir(name string, mode os.FileMode) {
	tr.Helper()
	tr.must(os.MkdirAll(tr.path(name), 0o755), os.Chmod(tr.path(name), mode))
}

func (tr tree) file(name string, mode os.FileMode) {
	tr.Helper()
	tr.must(os.WriteFile(tr.path(name), nil, 0o600), os.Chmod(tr.path(name), mode))
}

func (tr tree) link(target, name string) {
	tr.Helper()
	tr.must(os.Symlink(target, tr.path(name)))
}

// giveAway makes a stranger the owner of name.
func (tr tree) giveAway(name string) {
	tr.Helper()
	if os.Geteuid() != 0 {
		tr.Skip("SKIPPED: only root can give a file away")
	}
	tr.must(os.Lchown(tr.path(name), stranger, -1))
}

// told returns an error and its remedy as a person reads them.
func told(err error) string {
	hint, _ := signer.HintOf(err)
	return fmt.Sprintf("%v: %s", err, hint.Do)
}

func TestCheckWriters(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(tree)
		path  string
		want  string // in the error; "ROOT/" is the folder of the test; "" for no error
	}{
		{"only the user's", func(tr tree) { tr.dir("a", 0o700); tr.file("a/file", 0o600) }, "a/file", ""},
		{"readable by all", func(tr tree) { tr.dir("a", 0o755); tr.file("a/file", 0o644) }, "a/file", ""},
		{"a file that others can write", func(tr tree) { tr.dir("a", 0o755); tr.file("a/file", 0o602) }, "a/file", "key file ROOT/a/file can be changed by others (mode 0602): chmod go-w ROOT/a/file"},
		{"a sticky file that others can write", func(tr tree) { tr.dir("a", 0o755); tr.file("a/file", 0o602|os.ModeSticky) }, "a/file", "chmod go-w ROOT/a/file"},
		{"an open directory", func(tr tree) { tr.dir("a", 0o777); tr.file("a/file", 0o644) }, "a/file", "directory ROOT/a can be changed by others (mode 0777), who can replace key file ROOT/a/file: chmod go-w ROOT/a"},
		{"an open directory far above", func(tr tree) { tr.dir("a/b/c", 0o700); tr.dir("a", 0o777); tr.file("a/b/c/file", 0o600) }, "a/b/c/file", "chmod go-w ROOT/a"},
		{"a path to quote", func(tr tree) { tr.dir("a b", 0o777); tr.file("a b/file", 0o644) }, "a b/file", "chmod go-w 'ROOT/a b'"},
		{"a sticky directory", func(tr tree) { tr.dir("a", 0o777|os.ModeSticky); tr.file("a/file", 0o600) }, "a/file", ""},
		{"a file of another user", func(tr tree) { tr.file("file", 0o600); tr.giveAway("file") }, "file", "key file ROOT/file belongs to another user (uid 12345), who can replace key file ROOT/file: use a copy in a directory of your own"},
		{"another user's file in a sticky directory", func(tr tree) { tr.dir("a", 0o777|os.ModeSticky); tr.file("a/file", 0o600); tr.giveAway("a/file") }, "a/file", "key file ROOT/a/file belongs"},
		{"another user's directory in a sticky directory", func(tr tree) {
			tr.dir("a", 0o777|os.ModeSticky)
			tr.dir("a/b", 0o755)
			tr.file("a/b/file", 0o600)
			tr.giveAway("a/b")
		}, "a/b/file", "directory ROOT/a/b belongs"},
		{"another user's sticky directory", func(tr tree) { tr.dir("a", 0o755|os.ModeSticky); tr.file("a/file", 0o600); tr.giveAway("a") }, "a/file", "directory ROOT/a belongs"},
		{"another user's directory far above", func(tr tree) { tr.dir("a/b/c", 0o700); tr.file("a/b/c/file", 0o600); tr.giveAway("a") }, "a/b/c/file", "directory ROOT/a belongs"},

		{"a link", func(tr tree) { tr.file("file", 0o600); tr.dir("a", 0o700); tr.link("../file", "a/link") }, "a/link", ""},
		{"a link in an open directory", func(tr tree) { tr.file("file", 0o600); tr.dir("a", 0o777); tr.link("../file", "a/link") }, "a/link", "directory ROOT/a can be changed"},
		{"a link in another user's directory", func(tr tree) {
			tr.file("file", 0o600)
			tr.dir("a", 0o755)
			tr.link("../file", "a/link")
			tr.giveAway("a")
		}, "a/link", "directory ROOT/a belongs"},
		{"a link to a file in an open directory", func(tr tree) { tr.dir("a", 0o777); tr.file("a/file", 0o600); tr.link("a/file", "link") }, "link", "directory ROOT/a can be changed"},
		{"a link to a file that others can write", func(tr tree) { tr.file("file", 0o606); tr.link("file", "link") }, "link", "key file ROOT/file can be changed"},
		{"an absolute link", func(tr tree) { tr.dir("a", 0o777); tr.file("a/file", 0o600); tr.link(tr.path("a/file"), "link") }, "link", "directory ROOT/a can be changed"},
		{"another user's link in a sticky directory", func(tr tree) {
			tr.file("file", 0o600)
			tr.dir("a", 0o777|os.ModeSticky)
			tr.link("../file", "a/link")
			tr.giveAway("a/link")
		}, "a/link", "symbolic link ROOT/a/link belongs"},
		{"a link through another user's link", func(tr tree) {
			tr.file("file", 0o600)
			tr.dir("a", 0o777|os.ModeSticky)
			tr.link("../file", "a/theirs")
			tr.giveAway("a/theirs")
			tr.link("a/theirs", "mine")
			tr.link("mine", "link")
		}, "link", "symbolic link ROOT/a/theirs belongs"},
		{"a link through an open directory", func(tr tree) {
			tr.dir("safe", 0o755)
			tr.file("safe/file", 0o600)
			tr.dir("open", 0o777)
			tr.link("../safe/file", "open/middle")
			tr.link("open/middle", "link")
		}, "link", "directory ROOT/open can be changed"},
		{"a directory that is a link", func(tr tree) {
			tr.dir("safe", 0o755)
			tr.file("safe/file", 0o600)
			tr.dir("open", 0o777)
			tr.link("../safe", "open/link")
			tr.link("open/link", "home")
		}, "home/file", "directory ROOT/open can be changed"},
		{"the directory above a link's target", func(tr tree) {
			tr.dir("open/inner", 0o755)
			tr.dir("open", 0o777)
			tr.file("file", 0o600)
			tr.link("open/inner", "link")
		}, "link/../../file", "directory ROOT/open can be changed"},
		{"a directory that the path leaves again", func(tr tree) { tr.dir("open", 0o777); tr.file("file", 0o600) }, "open/../file", "directory ROOT/open can be changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t)
			tt.build(tr)
			err := access.CheckWriters("key file", tr.path(tt.path))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := strings.ReplaceAll(tt.want, "ROOT", tr.root)
			if !errors.Is(err, signer.ErrInsecure) || !strings.Contains(told(err), want) {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

func TestCheckWritersOfRelativePath(t *testing.T) {
	tr := newTree(t)
	tr.dir("a/b", 0o755)
	tr.file("a/b/file", 0o600)
	t.Chdir(tr.path("a/b"))
	for _, path := range []string{"file", "./file", "../b/file"} {
		if err := access.CheckWriters("key file", path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	tr.file("a/b/file", 0o602)
	if err := access.CheckWriters("key file", "file"); !errors.Is(err, signer.ErrInsecure) || !strings.Contains(err.Error(), tr.path("a/b/file")) {
		t.Errorf("a file that others can change: %v", err)
	}
	tr.file("a/b/file", 0o600)
	tr.dir("a", 0o777)
	for _, path := range []string{"file", "./file", "../b/file"} {
		if err := access.CheckWriters("key file", path); !errors.Is(err, signer.ErrInsecure) {
			t.Errorf("%s below a directory that others can change: %v", path, err)
		}
	}
}

func TestCheckWritersWithoutWorkingDirectory(t *testing.T) {
	tr := newTree(t)
	tr.dir("a", 0o700)
	t.Chdir(tr.path("a"))
	tr.must(os.Remove(tr.path("a")))
	if err := access.CheckWriters("key file", "file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CheckWriters = %v, want ErrNotExist", err)
	}
}

// It follows as many symbolic links as Linux.
func TestCheckWritersOfManyLinks(t *testing.T) {
	tr := newTree(t)
	tr.file("0", 0o600)
	for i := range 41 {
		tr.link(strconv.Itoa(i), strconv.Itoa(i+1))
	}
	if err := access.CheckWriters("key file", tr.path("40")); err != nil {
		t.Errorf("40 links: %v", err)
	}
	err := access.CheckWriters("key file", tr.path("41"))
	if !errors.Is(err, syscall.ELOOP) || !strings.HasPrefix(err.Error(), "open "+tr.path("41")) {
		t.Errorf("41 links: %v, want ELOOP and the path", err)
	}
	if _, err := os.Stat(tr.path("40")); runtime.GOOS == "linux" && err != nil {
		t.Errorf("Linux does not follow 40 links: %v", err)
	}
}

func TestCheckWritersErrors(t *testing.T) {
	tr := newTree(t)
	tr.link("loop", "loop")
	tr.link("absent", "dangling")
	tr.file("file", 0o600)
	for _, path := range []string{"loop", "dangling", "absent", "file/below"} {
		if err := access.CheckWriters("key file", tr.path(path)); err == nil || errors.Is(err, signer.ErrInsecure) {
			t.Errorf("%s: %v, want an error of package os", path, err)
		}
	}
	if err := access.CheckWriters("key file", os.DevNull); err != nil {
		t.Errorf("a device: %v", err)
	}
}

// The remedy in the error cures it.
func TestCheckWritersRemedy(t *testing.T) {
	tr := newTree(t)
	tr.dir("it's\n open", 0o777)
	tr.file("it's\n open/file", 0o666)
	path := tr.path("it's\n open/file")
	for range 2 { // the directory and the file
		err := access.CheckWriters("key file", path)
		if !errors.Is(err, signer.ErrInsecure) {
			t.Fatal(err)
		}
		hint, _ := signer.HintOf(err)
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", hint.Do).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", hint.Do, err, out)
		}
	}
	if err := access.CheckWriters("key file", path); err != nil {
		t.Error(err)
	}
}

func TestCheckWritersOfGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give a file to another group")
	}
	tr := newTree(t)
	tr.dir("a", 0o775)
	tr.file("a/file", 0o664)
	if err := access.CheckWriters("key file", tr.path("a/file")); err != nil {
		t.Errorf("of root's own group: %v", err)
	}
	for _, name := range []string{"a/file", "a"} {
		tr.must(os.Lchown(tr.path(name), -1, stranger))
		if err := access.CheckWriters("key file", tr.path("a/file")); !errors.Is(err, signer.ErrInsecure) || !strings.Contains(told(err), "chmod go-w "+tr.path(name)) {
			t.Errorf("%s of another group: %v", name, err)
		}
		tr.must(os.Lchown(tr.path(name), -1, 0))
	}
}

// A user who is not root cannot change the mode of root's directory.
func TestCheckWritersAsNobody(t *testing.T) {
	if os.Geteuid() == 0 {
		open := newTree(t)
		open.must(os.Chmod(filepath.Dir(open.root), 0o755))
		open.dir("", 0o777)
		open.file("file", 0o644)
		t.Setenv("COUNTERSIGN_TEST_FILE", open.path("file"))
	}
	if !otheruser.Run(t, otheruser.Nobody, otheruser.Nobody) {
		return
	}
	tr := newTree(t)
	tr.file("file", 0o600)
	if err := access.CheckWriters("key file", tr.path("file")); err != nil {
		t.Errorf("a file of its own: %v", err)
	}
	tr.file("open", 0o602)
	if err := access.CheckWriters("key file", tr.path("open")); err == nil || !strings.Contains(told(err), "chmod go-w") {
		t.Errorf("a file of its own that others can write: %v", err)
	}
	if path := os.Getenv("COUNTERSIGN_TEST_FILE"); path != "" { // started by root
		err := access.CheckWriters("key file", path)
		if !errors.Is(err, signer.ErrInsecure) || !strings.Contains(err.Error(), "mode 0777") || !strings.Contains(told(err), "use a copy") {
			t.Errorf("in root's open directory: %v", err)
		}
		tr.file("shared", 0o664) // the group nogroup is no private one
		if err := access.CheckWriters("key file", tr.path("shared")); !errors.Is(err, signer.ErrInsecure) {
			t.Errorf("a file that its group can write: %v", err)
		}
	}
	for _, path := range []string{"/", "/etc/passwd", "/dev/null"} {
		if err := access.CheckWriters("key file", path); err != nil {
			t.Errorf("root's %s: %v", path, err)
		}
	}
}
