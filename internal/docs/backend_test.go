package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var sample = regexp.MustCompile("(?ms)^<!-- sample: (\\S+) -->\n```go\n(.*?)^```$")

// TestBackendSample runs the conformance suite on the backend that the page about
// writing a backend shows, with the test that the page shows.
func TestBackendSample(t *testing.T) {
	const page = root + "/docs/writing-a-backend.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	samples := sample.FindAllStringSubmatch(string(text), -1)
	if len(samples) < 2 {
		t.Fatalf("%s shows %d samples, want a backend and its test", page, len(samples))
	}
	for _, m := range samples {
		if err := os.WriteFile(filepath.Join(dir, m[1]), []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} { // with the versions that are there already
		data, err := os.ReadFile(filepath.Join(checkout, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inModule(t, dir, "go", "mod", "edit", "-module=example.com/pemstore",
		"-require=github.com/countersign/countersign@v0.0.0", "-replace=github.com/countersign/countersign="+checkout)
	out := inModule(t, dir, "go", "test", "-mod=mod", "-v", ".")
	for _, check := range []string{"Open", "SignAtOnce", "Damaged"} {
		if !strings.Contains(out, "--- PASS: TestBackend/"+check+" ") {
			t.Errorf("the suite did not run its part %s on the sample:\n%s", check, out)
		}
	}
}

func inModule(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}
