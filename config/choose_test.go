package config_test

import (
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/config"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text), "config.toml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// refs are the references of a choice, with the level that they are from.
func refs(c config.Choice) string {
	var all []string
	for _, k := range c.Candidates {
		all = append(all, string(k.Source.Level)+" "+k.Ref)
	}
	return strings.Join(all, ", ")
}

// A place is one where a key can be named, and how it is named there.
type place struct {
	name    string
	section string // in the file; %s is the platform's part
	ask     func(*config.Query)
	want    string
}

var places = []place{
	{"flag", "", func(q *config.Query) { q.Flag = "env:FLAG" }, "flag env:FLAG"},
	{"variable", "", func(q *config.Query) { q.Getenv = environment("COUNTERSIGN_KEY", "env:VARIABLE") }, "variable env:VARIABLE"},
	{"registry", "[registry.\"registry.example.com\"]\nkeys = [\"env:REGISTRY\"]\n", nil, "registry env:REGISTRY"},
	{"system and architecture", "[platform.\"%[1]s/%[2]s\"]\nkeys = [\"env:BOTH\"]\n", nil, "platform env:BOTH"},
	{"system", "[platform.%[1]s]\nkeys = [\"env:SYSTEM\"]\n", nil, "platform env:SYSTEM"},
	{"top level", "keys = [\"env:TOP\"]\n", nil, "file env:TOP"},
	{"built-in", "", nil, "built-in env:OLLAMA_KEY, built-in keyring:ollama, built-in file:~/.ollama/id_ed25519"},
}

func environment(name, value string) func(string) string {
	return func(asked string) string {
		if asked == name {
			return value
		}
		return ""
	}
}

// Of every two places, on three platforms, the one that is first in the list
// holds, whatever the order in the file.
func TestPrecedence(t *testing.T) {
	for _, platform := range [][2]string{{"linux", "arm64"}, {"darwin", "arm64"}, {"windows", "amd64"}} {
		for i, strong := range places {
			for _, weak := range places[i+1:] {
				t.Run(fmt.Sprintf("%s/%s over %s", platform[0], strong.name, weak.name), func(t *testing.T) {
					q := config.Query{GOOS: platform[0], GOARCH: platform[1], Registry: parseURL(t, "https://registry.example.com/v2/")}
					for _, p := range []place{weak, strong} {
						if p.ask != nil {
							p.ask(&q)
						}
					}
					// The top level has to come first: TOML has no way back to it.
					sections := []string{strong.section, weak.section}
					if weak.name == "top level" {
						sections = []string{weak.section, strong.section}
					}
					text := strings.ReplaceAll(strings.ReplaceAll(strings.Join(sections, ""), "%[1]s", platform[0]), "%[2]s", platform[1])
					choice := parse(t, text).Choose(q)
					if got := refs(choice); got != strong.want {
						t.Errorf("got %s, want %s", got, strong.want)
					}
					if asked := strong.ask != nil; choice.Binding != asked {
						t.Errorf("binding is %v", choice.Binding)
					}
				})
			}
		}
	}
}

// A section of one platform holds there and nowhere else.
func TestEveryPlatform(t *testing.T) {
	c := parse(t, `
[platform.linux]
keys = ["env:LINUX"]
[platform."linux/arm64"]
keys = ["env:LINUX_ARM64"]
[platform.darwin]
keys = ["env:DARWIN"]
[platform.windows]
keys = ["env:WINDOWS"]
[platform."freebsd/amd64"]
keys = ["env:FREEBSD_AMD64"]
`)
	const builtIn = "built-in env:OLLAMA_KEY, built-in keyring:ollama, built-in file:~/.ollama/id_ed25519"
	for platform, want := range map[string]string{
		"linux/amd64":    "platform env:LINUX",
		"linux/arm64":    "platform env:LINUX_ARM64",
		"linux/arm":      "platform env:LINUX",
		"darwin/arm64":   "platform env:DARWIN",
		"darwin/amd64":   "platform env:DARWIN",
		"windows/amd64":  "platform env:WINDOWS",
		"windows/arm64":  "platform env:WINDOWS",
		"freebsd/amd64":  "platform env:FREEBSD_AMD64",
		"freebsd/arm64":  builtIn,
		"openbsd/amd64":  builtIn,
		"netbsd/amd64":   builtIn,
		"android/arm64":  builtIn,
		"ios/arm64":      builtIn,
		"dragonfly/amd4": builtIn,
		"solaris/amd64":  builtIn,
		"illumos/amd64":  builtIn,
		"aix/ppc64":      builtIn,
		"plan9/386":      builtIn,
		"js/wasm":        builtIn,
		"wasip1/wasm":    builtIn,
	} {
		goos, goarch, _ := strings.Cut(platform, "/")
		if got := refs(c.Choose(config.Query{GOOS: goos, GOARCH: goarch})); got != want {
			t.Errorf("%s: got %s, want %s", platform, got, want)
		}
	}
}

func TestRegistries(t *testing.T) {
	c := parse(t, `
keys = ["env:TOP"]
[registry."Registry.Example.com"]
keys = ["env:PLAIN"]
[registry."registry.example.com:5000"]
keys = ["env:PORT"]
[registry."registry.example.com:80"]
keys = ["env:HTTP"]
[registry."other.example.com:443"]
keys = ["env:OTHER"]
[registry."[2001:DB8::1]:5000"]
keys = ["env:IPV6"]
[registry."[::1]"]
keys = ["env:LOOPBACK"]
[registry."kelvin.example.com"]
keys = ["env:KELVIN"]
[registry."insecure.example.com"]
insecure = true
`)
	for origin, want := range map[string]string{
		"https://registry.example.com":          "registry env:PLAIN",
		"https://REGISTRY.example.COM:443/v2/x": "registry env:PLAIN",
		"HTTPS://registry.example.com":          "registry env:PLAIN",
		"https://registry.example.com:5000":     "registry env:PORT",
		"http://registry.example.com:5000":      "registry env:PORT",
		"http://registry.example.com":           "registry env:HTTP",
		"https://registry.example.com:5001":     "file env:TOP",
		"https://registry.example.com.":         "file env:TOP",
		"https://\u212aelvin.example.com":       "file env:TOP", // the sign, not the letter
		"https://Kelvin.example.com":            "registry env:KELVIN",
		"https://sub.registry.example.com":      "file env:TOP",
		"https://other.example.com":             "registry env:OTHER",
		"http://other.example.com":              "registry env:OTHER",
		"http://other.example.com:8080":         "file env:TOP",
		"http://other.example.com:443":          "registry env:OTHER",
		"https://[2001:db8:0::1]:5000":          "registry env:IPV6",
		"https://[::1]":                         "registry env:LOOPBACK",
		"https://insecure.example.com":          "file env:TOP", // a section without keys
	} {
		if got := refs(c.Choose(config.Query{Registry: parseURL(t, origin)})); got != want {
			t.Errorf("%s: got %s, want %s", origin, got, want)
		}
	}
	if got := refs(c.Choose(config.Query{})); got != "file env:TOP" {
		t.Errorf("no registry: got %s", got)
	}
}

func TestWhereItIsWritten(t *testing.T) {
	c := parse(t, "\nkeys = [\n  \"env:A\",\n\n  \"env:B\", 'env:C'\n]\nplatform.linux.keys = [\"env:D\"]\nregistry = {h = {keys = [\"env:E\"]}}\n")
	at := func(level config.Level, line int) config.Source {
		return config.Source{Level: level, File: "config.toml", Line: line}
	}
	for _, tt := range []struct {
		query config.Query
		want  []config.Candidate
	}{
		{config.Query{}, []config.Candidate{{"env:A", at(config.FromFile, 3)}, {"env:B", at(config.FromFile, 5)}, {"env:C", at(config.FromFile, 5)}}},
		{config.Query{GOOS: "linux"}, []config.Candidate{{"env:D", at(config.FromPlatform, 7)}}},
		{config.Query{GOOS: "linux", Registry: parseURL(t, "https://h")}, []config.Candidate{{"env:E", at(config.FromRegistry, 8)}}},
		{config.Query{Flag: "x"}, []config.Candidate{{"x", config.Source{Level: config.FromFlag}}}},
	} {
		if diff := cmp.Diff(tt.want, c.Choose(tt.query).Candidates); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.query, diff)
		}
	}
	for source, want := range map[config.Source]string{
		at(config.FromRegistry, 8):   "config.toml:8",
		{Level: config.FromFlag}:     "--key",
		{Level: config.FromVariable}: "COUNTERSIGN_KEY",
		{Level: config.FromBuiltIn}:  "the built-in order",
	} {
		if got := source.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A caller who edits a choice does not edit the configuration.
func TestChoicesAreCopies(t *testing.T) {
	c := parse(t, `keys = ["env:A"]`)
	c.Choose(config.Query{}).Candidates[0].Ref = "env:B"
	if got := refs(c.Choose(config.Query{})); got != "file env:A" {
		t.Errorf("got %s", got)
	}
}

func TestHere(t *testing.T) {
	t.Setenv("COUNTERSIGN_KEY", "env:VARIABLE")
	if q := config.Here("env:FLAG"); q.Flag != "env:FLAG" || q.GOOS != runtime.GOOS || q.GOARCH != runtime.GOARCH {
		t.Errorf("got %+v", q)
	}
	var c config.Config
	if got := refs(c.Choose(config.Here(""))); got != "variable env:VARIABLE" {
		t.Errorf("got %s", got)
	}
	t.Setenv("COUNTERSIGN_KEY", "")
	if got := refs(c.Choose(config.Here(""))); !strings.HasPrefix(got, "built-in ") {
		t.Errorf("an empty variable is none: got %s", got)
	}
}
