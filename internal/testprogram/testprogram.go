// Package testprogram finds the programs that tests need.
package testprogram

import (
	"os"
	"os/exec"
	"testing"
)

// Require returns the path of a program, or of a file if it is absolute, that a Debian
// package has. Where it is missing the test is skipped, but not in CI.
func Require(t testing.TB, name, debian string) string {
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
