package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMutants runs the tool on a module with one good and one missing test.
func TestMutants(t *testing.T) {
	root := writeModule(t, `package p

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
`, `if !allow(true, false) || allow(false, false) || wait(1) != 1 {
		t.Fail()
	}`)
	all, err := generateAll(root, []target{{file: "p.go"}}, sample{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(root, 2)
	if err != nil {
		t.Fatal(err)
	}
	r.timeLimit = time.Second
	defer r.close()
	got := map[string]outcome{}
	for _, g := range all.groups {
		err := r.testGroup(t.Context(), g, func(m mutant, result outcome) {
			got[m.function+": "+m.change] = result
			if m.number == 0 {
				t.Errorf("%v has no switch", m)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]outcome{
		"allow: `owner || admin` becomes `false`":                 killed,
		"allow: `owner || admin` becomes `true`":                  killed,
		"allow: `owner` becomes `false`":                          killed,
		"allow: `admin` becomes `false`":                          survived,
		"allow: `true` becomes `false`":                           killed,
		"allow: `false` becomes `true`":                           killed,
		"wait: `n > 0` becomes `false`":                           killed,
		"wait: `n > 0` becomes `n >= 0`":                          killed,
		"wait: `n--` is removed":                                  killed,
		"wait: `rounds++` is removed":                             killed,
		"wait: loop over `{ n-- rounds++ }` ends after one round": survived,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestFailingTests wants an error where the tests fail without a mutant.
func TestFailingTests(t *testing.T) {
	root := writeModule(t, "package p\n\nfunc f() bool { return true }\n", "if f() {\n\tt.Fail()\n}")
	all, err := generateAll(root, []target{{file: "p.go"}}, sample{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(root, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	err = r.testGroup(t.Context(), all.groups[0], func(m mutant, _ outcome) { t.Errorf("%v was tested", m) })
	if err == nil || !strings.Contains(err.Error(), "fail without a mutant") {
		t.Errorf("testGroup = %v", err)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := generateAll("../..", []target{{file: "scripts/mutants/nosuch.go"}}, sample{}); err == nil {
		t.Error("a file of the table is missing, and nothing is said")
	}
}

// writeModule writes a module with one file and one test, and returns its directory.
func writeModule(t *testing.T, source, test string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.test/p\n\ngo 1.26\n",
		"p.go":      source,
		"p_test.go": "package p\n\nimport \"testing\"\n\nfunc Test(t *testing.T) {\n\t" + test + "\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
