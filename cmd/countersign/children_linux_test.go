package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

// spyingPass stands for pass. It appends its environment, and what it reads from
// descriptor 3, to a file and fails.
const spyingPass = `#!/bin/sh
env >>"$SPY_LOG"
cat <&3 >>"$SPY_LOG"
exit 1
`

// secretVariables returns variables with keys and passphrases, and the secrets in
// them. It ignores an empty name.
func secretVariables(t *testing.T, names ...string) (env, secrets []string) {
	t.Helper()
	for i, name := range names {
		if name == "" {
			continue
		}
		seed := fmt.Sprintf("%064x", 0xabcdef+i)
		passphrase := "passphrase of " + name
		env = append(env, name+"="+seed, name+"_PASSPHRASE="+passphrase)
		secrets = append(secrets, seed, passphrase)
	}
	return env, secrets
}

// TestChildrenInheritNoSecret runs every command in an environment that is full
// of keys, and looks at the environment of the programs that the command starts.
func TestChildrenInheritNoSecret(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	for path, text := range map[string]string{
		"bin/pass":                         spyingPass,
		"store/.gpg-id":                    "me",
		"store/countersign/unreadable.gpg": "x",
		"passphrase":                       "correct horse",
		"config.toml": `
keys = ["keyring:unreadable", "env:TOP"]
keyring.stores = ["pass"]
[file]
passphrase = "keyring:unreadable"
[platform.plan9]
keys = ["env:PLATFORM"]
[registry."127.0.0.1"]
keys = ["keyring:unreadable", "env:REGISTRY"]
`,
	} {
		writeFile(t, filepath.Join(dir, path), text)
	}
	log := filepath.Join(dir, "log")
	registry := startDemoRegistry(t)
	environment := []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "PASSWORD_STORE_DIR=" + filepath.Join(dir, "store"), "SPY_LOG=" + log,
		"COUNTERSIGN_CONFIG=" + filepath.Join(dir, "config.toml"), "DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "no-bus"), endAtOnce,
	}
	run := func(line string, variables ...string) (spied string) {
		t.Helper()
		if err := os.Remove(log); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		args := strings.Fields(strings.ReplaceAll(line, "URL", registry.URL))
		cmd := exec.CommandContext(t.Context(), "countersign", args...)
		cmd.Dir, cmd.Env = dir, slices.Concat(environment, variables)
		cmd.Stdin = strings.NewReader("POST,/api/me?ts=1700000000")
		passphrase, err := os.Open(filepath.Join(dir, "passphrase"))
		if err != nil {
			t.Fatal(err)
		}
		defer passphrase.Close()
		cmd.ExtraFiles = []*os.File{passphrase}
		if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState == nil {
			t.Fatalf("%q: %v\n%s", line, err, out)
		}
		data, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(data)
	}

	started := map[string]bool{}
	for name, line := range everyCommand {
		keys := []string{"OLLAMA_KEY", "TOP", "PLATFORM", "REGISTRY"}
		if strings.Contains(line, "env:ARGUMENT") {
			keys = append(keys, "ARGUMENT")
		}
		for _, asked := range []struct{ key, flag, variable string }{
			{}, {"FLAG", " --key env:FLAG", ""}, {"VARIABLE", "", "env:VARIABLE"}, {"FLAG", " --key env:FLAG", "keyring:unreadable"},
		} {
			variables, secrets := secretVariables(t, append(keys, asked.key)...)
			if strings.Contains(line, "-fd 3") {
				secrets = append(secrets, "correct horse")
			}
			spied := run(line+asked.flag, append(variables, "COUNTERSIGN_KEY="+asked.variable)...)
			if found := find(spied, secrets); found != "" {
				t.Errorf("%s%s with COUNTERSIGN_KEY=%s: a child inherits %q", line, asked.flag, asked.variable, found)
			}
			started[name] = started[name] || spied != ""
		}
	}
	for _, name := range []string{"get", "token", "key list", "key generate", "key delete", "key copy", "whoami", "doctor", "connect"} {
		if !started[name] {
			t.Errorf("%q started no program: this test shows nothing about it", name)
		}
	}
}

// TestBrowserInheritsNoSecret looks at the environment of the browser that
// connect opens.
func TestBrowserInheritsNoSecret(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	writeFile(t, filepath.Join(dir, "bin/xdg-open"), "#!/bin/sh\nenv >\"$SPY_LOG.new\" && mv \"$SPY_LOG.new\" \"$SPY_LOG\"\n")
	variables, secrets := secretVariables(t, "OLLAMA_KEY", "OTHER")
	registry := signInRegistry(t)
	p := sitWith(t, append(variables, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "HOME="+dir, "DISPLAY=:99", "SPY_LOG="+log, endAtOnce),
		"countersign", "connect", "--key", "env:OTHER", registry.URL)
	p.await("waiting until")
	spied := ""
	for spied == "" && p.ctx.Err() == nil {
		data, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		spied = string(data)
	}
	if spied == "" || find(spied, secrets) != "" {
		t.Errorf("the browser inherits %q:\n%s", find(spied, secrets), spied)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.await("stopped waiting")
}

// writeFile writes a file that only the user can read. It is a program if its
// directory is bin.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	mode := os.FileMode(0o600)
	if filepath.Base(filepath.Dir(path)) == "bin" {
		mode = 0o700
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// startDemoRegistry starts a registry that accepts every key.
func startDemoRegistry(t *testing.T) *challengetest.Registry {
	t.Helper()
	r, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}
