package main

import (
	"os"
	"os/exec"
	"testing"
)

// requireProgram returns the path of a program, or of a file if it is absolute, that a
// Debian package has. Where it is missing a test is skipped, but not in CI.
func requireProgram(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%v: install %s", err, debian)
	}
	t.Skipf("NOT TESTED: %v: install %s", err, debian)
	return ""
}
