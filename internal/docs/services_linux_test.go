package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/testprogram"
)

// TestProxyServices wants systemd to accept the user unit of the page about other languages,
// Python's reader of property lists its launch agent, and countersign the command of each.
func TestProxyServices(t *testing.T) {
	page := readPages(t)[filepath.Join(root, "docs", "other-languages.md")]
	program := filepath.Join(build(t), "countersign")
	block := func(language string) string {
		m := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1)
		if len(m) != 1 {
			t.Fatalf("the page has %d blocks of %s, want 1", len(m), language)
		}
		return m[0][1]
	}
	path := func(name, text string) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, []byte(strings.ReplaceAll(text, "/usr/local/bin/countersign", program)), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}

	unit := path("countersign-proxy.service", block("ini"))
	analyze := testprogram.Require(t, "systemd-analyze", "systemd")
	cmd := exec.CommandContext(t.Context(), analyze, "verify", "--user", "--man=no", unit)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), unit) {
		t.Errorf("%v\n%s", err, out)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(block("ini"))
	if start == nil {
		t.Fatal("the unit starts nothing")
	}
	checkProxy(t, program, strings.Fields(start[1])[1:])

	const read = "import json, plistlib, sys; json.dump(plistlib.load(open(sys.argv[1], 'rb')), sys.stdout)"
	out, err := exec.CommandContext(t.Context(), testprogram.Require(t, "python3", "python3"), "-c", read, path("countersign.proxy.plist", block("xml"))).Output()
	if err != nil {
		t.Fatal(err)
	}
	var agent struct {
		Label                string
		ProgramArguments     []string
		RunAtLoad, KeepAlive bool
	}
	if err := json.Unmarshal(out, &agent); err != nil {
		t.Fatal(err)
	}
	if agent.Label != "countersign.proxy" || !agent.RunAtLoad || !agent.KeepAlive || len(agent.ProgramArguments) < 2 || agent.ProgramArguments[0] != program {
		t.Fatalf("the launch agent is %+v", agent)
	}
	checkProxy(t, program, agent.ProgramArguments[1:])
}

// checkProxy wants the command to know all flags of a proxy.
func checkProxy(t *testing.T, program string, args []string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, append(args, "--help")...).CombinedOutput(); err != nil || args[0] != "proxy" {
		t.Errorf("%q: %v\n%s", args, err, out)
	}
}
