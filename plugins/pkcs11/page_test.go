package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHardwarePage runs the commands of docs/hardware.md with SoftHSM.
func TestHardwarePage(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE", "GOPATH").Output() // with the user's HOME
	if err != nil {
		t.Fatal(err)
	}
	caches := strings.Fields(string(out))
	b := newToken(t, false) // for the program, and to find SoftHSM
	page, err := os.ReadFile("../../docs/hardware.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -eux\n")
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(blocks) < 3 {
		t.Fatalf("the page has %d blocks of commands", len(blocks))
	}
	for _, block := range blocks {
		script.Write(block[1])
	}
	bin := filepath.Dir(b.Programs["pkcs11"].Path)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/countersign")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "GOCACHE="+caches[0], "GOPATH="+caches[1])
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	me := filepath.Join(os.Getenv("HOME"), "me")
	if err := os.Mkdir(me, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Env = append(os.Environ(), "HOME="+me, "PATH="+bin+":"+os.Getenv("PATH"), "XDG_CONFIG_HOME=", "DBUS_SESSION_BUS_ADDRESS=unix:path=/no/bus")
	out, err = cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"ssh-ed25519 AAAA", "plugin:pkcs11:token=work;object=ollama  SHA256:", " 0 failed"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}
