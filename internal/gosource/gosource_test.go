package gosource_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/gosource"
)

func TestExtract(t *testing.T) {
	dir := t.TempDir()
	for name, code := range map[string]string{
		"a.go":       "package p\n\nimport (\n\t\"fmt\"\n\t\"strings\"\n)\n\nfunc root(s string) kind { return other(strings.ToUpper(s)) }\n\nfunc unused() { fmt.Println() }\n",
		"b.go":       "package p\n\ntype kind int\n\nvar table [256]kind\n\nfunc other(s string) kind { return table[s[0]] }\n\nfunc init() { table['A'] = one }\n\nconst (\n\tnone kind = iota\n\tone\n)\n",
		"c.go":       "package p\n\nfunc init() { unused() }\n",
		"d.go":       "package p\n\nimport \"math/rand/v2\"\n\nfunc (k *kind) method() { rand.Int() }\n\ntype unusedType int\n\nvar Exported int\n\nfunc (unusedType) skipped() {}\n",
		"e_plan9.go": "package p\n\nfunc other(s string) kind { return plan9 }\n",
		"a_test.go":  "package p\n\nfunc other() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := gosource.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Exported"}, s.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	code, err := s.Extract("q", "root")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"package q", `import strings "strings"`, "func root", "func other", "type kind", "var table", "table['A'] = one", "iota", "func (k *kind) method", `import rand "math/rand/v2"`} {
		if !strings.Contains(code, want) {
			t.Errorf("%s is not in\n%s", want, code)
		}
	}
	for _, not := range []string{"unused", "fmt", "skipped", "plan9"} {
		if strings.Contains(code, not) {
			t.Errorf("%s is in\n%s", not, code)
		}
	}
	files, err := s.ExtractFiles("q", "root")
	if err != nil || len(files) != 3 || !strings.Contains(files["b.go"], "func other") || strings.Contains(files["a.go"], "func other") {
		t.Errorf("files %v, %v", files, err)
	}
	if _, err := s.Extract("q", "absent"); err == nil {
		t.Error("a function that is not there was extracted")
	}
}
