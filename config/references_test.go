package config_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReferences(t *testing.T) {
	c := parse(t, `
keys = ["env:TOP", "file:~/key"]
[platform.plan9]
keys = ["env:PLAN9"]
[platform.linux]
keys = ["env:LINUX"]
[registry."registry.example.com"]
keys = ["env:REGISTRY"]
`)
	want := []string{
		"env:LINUX", "env:OLLAMA_KEY", "env:PLAN9", "env:REGISTRY", "env:TOP", "env:VARIABLE",
		"file:~/.ollama/id_ed25519", "file:~/key", "keyring:ollama",
	}
	got := slices.Sorted(slices.Values(c.References(environment("COUNTERSIGN_KEY", "env:VARIABLE"))))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.References(nil); slices.Contains(got, "") {
		t.Errorf("without a variable: %q", got)
	}
}
