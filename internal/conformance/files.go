package conformance

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/countersign/countersign/signer"
)

// files returns the paths of the files that hold data, sorted.
func (s *store) files() []string {
	var paths []string
	_ = filepath.WalkDir(s.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // a file that is not there any more, or a folder
		}
		if info, err := entry.Info(); err == nil && info.Size() > 0 {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

// filesWith returns the paths of the files that hold one of the secrets.
func (s *store) filesWith(secrets []form) []string {
	return slices.DeleteFunc(s.files(), func(path string) bool {
		data, err := os.ReadFile(path)
		return err != nil || !holds(string(data), secrets)
	})
}

func holds(text string, secrets []form) bool {
	joined := unbroken.Replace(text)
	return slices.ContainsFunc(secrets, func(s form) bool {
		return strings.Contains(text, s.text) || strings.Contains(joined, s.text)
	})
}

// privateKeyLine is in every PEM block with a private key.
var privateKeyLine = []form{{"private key", "PRIVATE KEY-----"}}

// checkFiles looks for files with a private key that other users may read or
// write. It leaves out the files that Store.Put wrote.
func (s *store) checkFiles(t TB) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // the mode tells nothing there
	}
	for _, path := range s.filesWith(append(privateKeyLine, s.secrets...)) {
		info, err := os.Lstat(path)
		if err == nil && info.Mode().Perm()&0o077 != 0 && !slices.Contains(s.putFiles, path) {
			t.Errorf("the file %s holds a private key and has the mode %v: other users have access", path, info.Mode().Perm())
		}
	}
}

// checkLeftovers makes and deletes keys. The first key may leave something
// behind, such as a folder, an index or a lock file. Later keys must not.
func checkLeftovers(t TB, s *store) {
	as[signer.Deleter](t, s)
	calls := s.callsOfNew("", NewKey(t))
	if len(calls) == 0 {
		t.Skip("the backend makes no keys")
	}
	for i, c := range calls {
		s.makeAndDelete(t, i)
		before := s.snapshot(t)
		secrets := s.makeAndDelete(t, i)
		s.unchanged(t, before, c.op+" and Delete")
		if left := s.filesWith(secrets); len(left) > 0 {
			t.Errorf("after %s and Delete, the private key is still in %q", c.op, left)
		}
	}
}

// makeAndDelete makes a key with the i-th of callsOfNew, deletes it, and returns
// the forms of its secret.
func (s *store) makeAndDelete(t TB, i int) []form {
	t.Helper()
	name, key := s.name(t), NewKey(t)
	s.guard(key)
	call := s.callsOfNew(name, key)[i]
	if err := call.run(t.Context()); err != nil {
		t.Fatalf("%s(%q): %v", call.op, name, err)
	}
	secrets := secretForms(key)
	if has[signer.Exporter](s) {
		exported, err := s.export(t.Context(), name)
		if err != nil {
			t.Fatalf("Export(%q): %v", name, err)
		}
		secrets = secretForms(exported)
	}
	if err := s.delete(t.Context(), name); err != nil {
		t.Fatalf("Delete(%q): %v", name, err)
	}
	return secrets
}
