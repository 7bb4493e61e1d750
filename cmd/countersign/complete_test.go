package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/testprogram"
)

// What a real bash offers after the tab key, in a shell that has sourced the
// script. Bash takes a colon for the beginning of a word.
func TestBashCompletion(t *testing.T) {
	bash := testprogram.Require(t, "bash", "bash")
	library := "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(library); err != nil {
		library = testprogram.Require(t, library, "bash-completion")
	}
	h := newHome(t)
	script := filepath.Join(h.dir, "script")
	out, err := h.command(t, "completion", "bash").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, out, 0o600); err != nil {
		t.Fatal(err)
	}
	plugin := filepath.Join(h.dir, "plugins", "countersign-backend-sample") // is not started
	if err := os.Mkdir(filepath.Dir(plugin), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plugin, []byte("#!/bin/false"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + filepath.Dir(plugin) + ":" + os.Getenv("PATH")
	const tab = `
source "$1"; source "$2"; COMP_LINE=$3; shift 3
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
compopt() { :; }
__start_countersign
printf '%s\n' "${COMPREPLY[@]}"`
	for line, want := range map[string]string{
		"who":                                  "whoami",
		"get --tim":                            "--timeout",
		"key gen":                              "generate",
		"key show k":                           "keyring:",
		"key copy env:X fi":                    "file:",
		"get --key e":                          "env:",
		"key show file:~/.oll":                 `\~/.ollama/`, // to the command it is ~ again
		`key show file:\~/.ollama/id_ed25519.`: `\~/.ollama/id_ed25519.pub`,
		"key show file:.ollama/id_ed25519.":    ".ollama/id_ed25519.pub",
		"key show pl":                          "plugin:",
		"key show plugin:sam":                  "sample:",
		"plugin test sam":                      "sample",
		"key show env:USERPROF":                "USERPROFILE",
		"key show keyring:f":                   "",
		"get f":                                "",
	} {
		t.Run(line, func(t *testing.T) {
			line := "countersign " + line
			words := strings.Fields(strings.ReplaceAll(line, ":", " : "))
			cmd := exec.CommandContext(t.Context(), bash, append([]string{"-c", tab, "bash", library, script, line}, words...)...)
			cmd.Env, cmd.Dir = append(h.command(t).Env, path), h.dir
			out, err := cmd.Output()
			if got := strings.TrimSpace(string(out)); err != nil || got != want {
				t.Errorf("got %q, want %q, error %v", got, want, err)
			}
		})
	}
}
