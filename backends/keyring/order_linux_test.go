package keyring_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	nobus   = "github.com/countersign/countersign/backends/keyring/internal/nobus"
	library = "github.com/godbus/dbus"
	store   = "github.com/99designs/keyring"
	backend = "github.com/countersign/countersign/backends/keyring"
)

// program builds a program that links the backend and prints a line in main.
func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	err := os.WriteFile(source, []byte(`package main

import (
	"os"

	"`+backend+`"
)

func main() {
	_ = &keyring.Backend{}
	println("main:" + os.Getenv("DBUS_SESSION_BUS_ADDRESS"))
}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return binary
}

// start runs the program and returns its output and its duration.
func start(t *testing.T, binary string, env ...string) (string, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // it may hang before main
	defer cancel()
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = env
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the program: %v: %s", err, out)
	}
	return string(out), time.Since(begin)
}

func TestBeforeMain(t *testing.T) {
	binary := program(t)
	t.Run("order", func(t *testing.T) { testOrder(t, binary) })
	t.Run("order of any program", testOrderRule)
	t.Run("dead bus", func(t *testing.T) { testDeadBus(t, binary) })
	t.Run("no dbus-launch", func(t *testing.T) { testNoDBusLaunch(t, binary) })
}

// testOrder checks that package nobus is initialised before the D-Bus library,
// then 99designs/keyring, then this module's backend, which restores the
// environment.
func testOrder(t *testing.T, binary string) {
	trace, _ := start(t, binary, "GODEBUG=inittrace=1", "XDG_RUNTIME_DIR="+t.TempDir())
	var order []string
	for _, line := range regexp.MustCompile(`(?m)^init (\S+) @`).FindAllStringSubmatch(trace, -1) {
		if slices.Contains([]string{nobus, library, store, backend}, line[1]) {
			order = append(order, line[1])
		}
	}
	if want := []string{nobus, library, store, backend}; !slices.Equal(order, want) {
		t.Errorf("Go initialises %q, want %q", order, want)
	}
}

// testOrderRule checks the reason for this order in any program: of the packages
// whose imports are initialised, Go takes the package whose path sorts first.
func testOrderRule(t *testing.T) {
	if nobus >= library {
		t.Errorf("%s sorts after %s", nobus, library)
	}
	needed := deps(t, library)
	for _, dep := range deps(t, nobus) {
		if dep != nobus && !slices.Contains(needed, dep) {
			t.Errorf("the nobus waits for %s, and the D-Bus library does not", dep)
		}
	}
	for _, pair := range [][2]string{{store, library}, {backend, store}, {backend, nobus}} {
		if !slices.Contains(deps(t, pair[0]), pair[1]) {
			t.Errorf("%s does not import %s any more: is the nobus still needed?", pair[0], pair[1])
		}
	}
}

func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// testDeadBus runs a program that links the backend and does not use it.
func testDeadBus(t *testing.T, binary string) {
	env := deadBus(t)
	out, took := start(t, binary, env...)
	if took > 2*time.Second {
		t.Errorf("main was reached after %v", took)
	}
	if _, address, _ := strings.Cut(env[0], "="); out != "main:"+address+"\n" {
		t.Errorf("the environment was changed: %s", out)
	}
}

// testNoDBusLaunch puts a dbus-launch on PATH that tells when it is run.
func testNoDBusLaunch(t *testing.T, binary string) {
	dir := t.TempDir()
	launched := filepath.Join(dir, "launched")
	script := "#!/bin/sh\n/bin/touch " + launched + "\n"
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, env := range [][]string{
		{},
		{"DBUS_SESSION_BUS_ADDRESS="},
		{"DBUS_SESSION_BUS_ADDRESS=autolaunch:"},
	} {
		out, _ := start(t, binary, append(env, "PATH="+dir, "XDG_RUNTIME_DIR="+dir)...)
		if !strings.HasPrefix(out, "main:") {
			t.Errorf("%q: the program says %s", env, out)
		}
		if _, err := os.Stat(launched); err == nil {
			t.Fatalf("%q: dbus-launch was run", env)
		}
	}
}
