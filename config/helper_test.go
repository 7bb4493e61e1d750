package config_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/config"
)

func TestHelper(t *testing.T) {
	c, err := config.Parse([]byte(`
[registry."short.example.com"]
helper = ["pull"]
[registry."long.example.com:5000"]
helper = ["pull", "push", "delete"]
helper_lifetime = "12h"
[registry."bearer.example.com"]
`), "config.toml")
	if err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]config.Helper{
		"https://short.example.com":      {Actions: []string{"pull"}, Lifetime: time.Hour},
		"https://long.example.com:5000":  {Actions: []string{"pull", "push", "delete"}, Lifetime: 12 * time.Hour},
		"https://long.example.com":       {Lifetime: time.Hour},
		"https://bearer.example.com":     {Lifetime: time.Hour},
		"https://elsewhere.example.com/": {Lifetime: time.Hour},
	} {
		u, err := url.Parse(registry)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := c.Helper(u)
		if diff := cmp.Diff(want, got); diff != "" || ok != (len(want.Actions) > 0) {
			t.Errorf("%s: %v (-want +got):\n%s", registry, ok, diff)
		}
	}
}

func TestHelperMistakes(t *testing.T) {
	for line, want := range map[string]string{
		`helper = []`:                 "the list is empty",
		`helper = ["pull", "pul"]`:    `did you mean "pull"`,
		`helper = ["pull", "pull"]`:   "twice",
		`helper = "pull"`:             "want a list",
		`helper_lifetime = "13h"`:     "at most 12h",
		`helper_lifetime = "forever"`: "want a duration",
	} {
		_, err := config.Parse([]byte("[registry.h]\n"+line), "config.toml")
		if err == nil || !strings.Contains(err.Error(), "config.toml:2: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want line 2 and %q", line, err, want)
		}
	}
}
