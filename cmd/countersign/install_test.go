package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/countersign/countersign/internal/testprogram"
)

// TestInstall installs the command, its manual pages and its completions in a new
// folder, and removes them.
func TestInstall(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no make")
	}
	tool := testprogram.Require(t, "make", "make")
	dir := t.TempDir()
	run := func(target string) {
		cmd := exec.CommandContext(t.Context(), tool, target, "DESTDIR="+dir, "PREFIX=/usr", "BUILDFLAGS=")
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make %s: %v\n%s", target, err, out)
		}
	}
	run("install")
	for name, mode := range map[string]os.FileMode{
		"bin/countersign": 0o755,
		"share/bash-completion/completions/countersign":    0o644,
		"share/fish/vendor_completions.d/countersign.fish": 0o644,
		"share/man/man1/countersign-key-copy.1":            0o644,
		"share/man/man1/countersign.1":                     0o644,
		"share/zsh/site-functions/_countersign":            0o644,
	} {
		info, err := os.Stat(filepath.Join(dir, "usr", name))
		if err != nil || info.Size() == 0 || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "usr/bin/countersign"), "--version").Output()
	if err != nil || len(out) < len("countersign version ") {
		t.Errorf("--version prints %q, %v", out, err)
	}
	run("uninstall")
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s is still there", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
