// Package docs_test keeps the README and docs/ true where a program can tell.
package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func readPages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	pages := map[string]string{}
	for _, name := range append(names, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(text)
	}
	return pages
}

var (
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	head  = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

func TestLinks(t *testing.T) {
	for name, text := range readPages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), target)
			}
			linked, err := os.ReadFile(path)
			if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(string(linked)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", name, m[1])
			}
		}
	}
}

// anchors are the headings of a page as links name them.
func anchors(text string) []string {
	var all []string
	for _, m := range head.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestPrograms compiles the whole programs that the pages show.
func TestPrograms(t *testing.T) {
	programs := 0
	for name, text := range readPages(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if m[1] != "go" || !strings.HasPrefix(m[2], "package main\n") {
				continue
			}
			programs++
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
				t.Errorf("a program in %s: %v\n%s", name, err, out)
			}
		}
	}
	if programs == 0 {
		t.Error("no page shows a whole program any more: mend this test")
	}
}

// TestErrorsNameHeadings wants a heading for each page that an error names.
func TestErrorsNameHeadings(t *testing.T) {
	named := regexp.MustCompile(`docs/([a-z-]+\.md)#([a-z0-9-]+)`)
	all := readPages(t)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, m := range named.FindAllStringSubmatch(string(code), -1) {
			if !slices.Contains(anchors(all[filepath.Join(root, "docs", m[1])]), m[2]) {
				t.Errorf("%s names %s, which has no such heading", path, m[0])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
