package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/secretservice"
)

// TestConsole runs every command that the pages show and wants the output that they show:
// on a machine with an unlocked keychain, and with registries that have the names they
// have on the pages. The pages about the gate need a registry, so gate/demo runs them.
func TestConsole(t *testing.T) {
	bin := build(t)
	ran := 0
	for path, text := range readPages(t) {
		name, steps := filepath.Base(path), pages.Steps(text)
		if len(steps) == 0 || strings.HasPrefix(name, "gate-") {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell, machine := newShell(t, bin, name)
			pages.Run(t, shell, machine, steps)
		})
	}
	if ran == 0 {
		t.Error("no page shows a command any more: correct this test")
	}
}

// newShell returns bash in the home folder of a reader, and the folder that stands for
// the root of the reader's disk.
func newShell(t *testing.T, bin, page string) (shell *exec.Cmd, machine string) {
	t.Helper()
	session := secretservice.Start(t)
	machine, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	home := machine + "/home/me"
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	shell = exec.CommandContext(t.Context(), "bash", "-c")
	shell.Dir = home
	if page == "README.md" {
		shell.Dir = checkout // its reader is in the checkout
	}
	shell.Env = append(session.Env(), "HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"),
		"CHECKOUT="+checkout, "GOPATH="+goEnv(t, "GOPATH"), "GOCACHE="+goEnv(t, "GOCACHE"))
	shell.Env = append(shell.Env, startInternet(t, machine)...)
	return shell, machine
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
