package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	inline  = regexp.MustCompile("`([^`\n]+)`")
	called  = regexp.MustCompile(`(?m)(?:^|[\s/"])countersign ([a-z]+)(?: ([a-z]+))?`)
	listed  = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}`)
	comment = regexp.MustCompile(`(?s)<!--.*?-->`)
)

// TestCommandsExist wants every command that is named on a page, shown in a
// console or not, to be one.
func TestCommandsExist(t *testing.T) {
	bin := filepath.Join(build(t), "countersign")
	commands := subcommands(t, bin)
	below := map[string][]string{}
	for _, c := range commands {
		below[c] = subcommands(t, bin, c)
	}
	for name, text := range readPages(t) {
		text = comment.ReplaceAllString(text, "")
		var code []string
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			code = append(code, m[2])
		}
		for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			code = append(code, m[1])
		}
		for _, c := range code {
			for _, m := range called.FindAllStringSubmatch(c, -1) {
				command, sub := m[1], m[2]
				if !slices.Contains(commands, command) {
					t.Errorf("%s: there is no command %q", name, m[0])
				} else if sub != "" && len(below[command]) > 0 && !slices.Contains(below[command], sub) {
					t.Errorf("%s: there is no command %q", name, m[0])
				}
			}
		}
	}
}

// build builds the command in a directory, which it returns.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir, "./cmd/countersign")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// subcommands are those that --help lists.
func subcommands(t *testing.T, bin string, command ...string) []string {
	t.Helper()
	out, err := exec.Command(bin, append(command, "--help")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(out), "\nAvailable Commands:\n")
	if !found {
		return nil
	}
	var names []string
	for _, m := range listed.FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	return names
}
