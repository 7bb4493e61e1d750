package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMutants runs the tool on a module with one good and one missing test.
func TestMutants(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{
		"go.mod": "module example.test/p\n\ngo 1.26\n",
		"p.go": `package p

func allow(owner, admin bool) bool {
	if owner || admin {
		return true
	}
	return false
}

func wait(n int) (rounds int) {
	for n > 0 {
		n--
		rounds++
	}
	return rounds
}
`,
		"p_test.go": `package p

import "testing"

func TestAllow(t *testing.T) {
	if !allow(true, false) || allow(false, false) || wait(1) != 1 {
		t.Error()
	}
}
`,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := generateAll(root, []target{{file: "p.go"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(root)
	if err != nil {
		t.Fatal(err)
	}
	r.timeLimit = "3s"
	defer r.close()
	if err := r.checkUnchanged(t.Context(), all.mutants); err != nil {
		t.Fatal(err)
	}
	got := map[string]outcome{}
	r.testMutants(t.Context(), all.mutants, 2, func(m mutant, result outcome) {
		got[m.function+": "+m.change] = result
	})
	want := map[string]outcome{
		"allow: `owner || admin` becomes `false`":                 killed,
		"allow: `owner || admin` becomes `true`":                  killed,
		"allow: `owner` becomes `false`":                          killed,
		"allow: `admin` becomes `false`":                          survived,
		"allow: `true` becomes `false`":                           killed,
		"allow: `false` becomes `true`":                           killed,
		"wait: `n > 0` becomes `false`":                           killed,
		"wait: `n > 0` becomes `n >= 0`":                          killed,
		"wait: `n--` is removed":                                  timedOut,
		"wait: `rounds++` is removed":                             killed,
		"wait: loop over `{ n-- rounds++ }` ends after one round": survived,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	left, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("%d directories of mutants stay", len(left))
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := generateAll("../..", []target{{file: "scripts/mutants/nosuch.go"}}, 1); err == nil {
		t.Error("a file of the table is missing, and nothing is said")
	}
}
