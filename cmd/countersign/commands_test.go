package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand has a command line for each command. URL is the URL of a registry,
// and all keys are in variables.
var everyCommand = map[string]string{
	"demo":                  "demo",
	"get":                   "get URL/v2/library/demo/manifests/latest --passphrase-fd 3",
	"token":                 "token URL/v2/library/demo/manifests/latest",
	"sign":                  "sign",
	"verify":                "verify x",
	"key generate":          "key generate keyring:new",
	"key show":              "key show env:ARGUMENT",
	"key list":              "key list",
	"key import":            "key import keyring:new",
	"key export":            "key export env:ARGUMENT",
	"key copy":              "key copy env:ARGUMENT keyring:new",
	"key delete":            "key delete --yes keyring:unreadable",
	"key rotate":            "key rotate --prepare keyring:unreadable",
	"key passphrase":        "key passphrase keyring:new --passphrase-file passphrase",
	"whoami":                "whoami URL",
	"doctor":                "doctor URL --passphrase-fd 3",
	"config path":           "config path",
	"config check":          "config check",
	"config show":           "config show",
	"plugin list":           "plugin list",
	"plugin test":           "plugin test absent",
	"agent":                 "agent env:ARGUMENT --timeout 1s --socket agent.sock",
	"proxy":                 "proxy --to URL --timeout 1s",
	"connect":               "connect --timeout 1s URL",
	"disconnect":            "disconnect URL",
	"completion bash":       "completion bash",
	"completion zsh":        "completion zsh",
	"completion fish":       "completion fish",
	"completion powershell": "completion powershell",
	"help":                  "help key",
}

// commandNames returns the names of all commands that do something.
func commandNames(cmd *cobra.Command) []string {
	if !cmd.HasSubCommands() {
		return []string{strings.TrimPrefix(cmd.CommandPath(), "countersign ")}
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, commandNames(sub)...)
	}
	return names
}

func TestEveryCommandIsListed(t *testing.T) {
	root := new(app).root()
	for _, name := range commandNames(root) {
		if everyCommand[name] == "" {
			t.Errorf("everyCommand lacks %q", name)
		}
	}
}
