package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/config"
)

func TestPluginSections(t *testing.T) {
	for text, want := range map[string]map[string]plugin.Program{
		"":                                     {},
		"[plugin.tpm]\nprogram = \"/opt/tpm\"": {"tpm": {Path: "/opt/tpm"}},
		"[plugin.tpm]\nprogram = 'C:\\tools\\tpm.exe'":                       {"tpm": {Path: `C:\tools\tpm.exe`}},
		"plugin.a.environment = [\"A\", \"B_1\"]\nplugin.a.program = \"/a\"": {"a": {Path: "/a", Environment: []string{"A", "B_1"}}},
		"[plugin.a]\n[plugin.b-2]":                                           {"a": {}, "b-2": {}},
	} {
		if diff := cmp.Diff(want, parse(t, text).Backends().Plugin.Programs); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"[plugin.tpm]\nprogram = \"tpm\"":              "line 2: program: want the absolute path",
		"[plugin.tpm]\nprogram = \"~/tpm\"":            "absolute path",
		"[plugin.tpm]\nprogram = [\"/tpm\"]":           "absolute path",
		"[plugin.tpm]\nprogramm = \"/tpm\"":            `did you mean "program"?`,
		"[plugin.TPM]\nprogram = \"/tpm\"":             "the name of a plugin",
		"[plugin.\"../x\"]":                            "the name of a plugin",
		"[plugin.tpm]\nenvironment = [\"A=b\"]":        "names of variables",
		"[plugin.tpm]\nenvironment = \"A\"":            "want a list",
		"[plugin]\nprogram = \"/tpm\"":                 `"program" is a section`,
		"[plugin.a]\n[plugin.a]":                       "a",
		"[plugin.a]\nprogram = \"/a\"\nprogram=\"/b\"": "not TOML",
	} {
		_, err := config.Parse([]byte(text), "file")
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "file:", "line "), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
