package config_test

import (
	"errors"
	"os"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/keyfile"
)

// Whatever is in a file, there is an answer: a configuration that chooses, or
// mistakes with their lines.
func FuzzParse(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		f.Fatal(err)
	}
	for _, block := range blocks("toml", string(page)) {
		f.Add([]byte(block))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse(data, "config.toml")
		if err != nil {
			if e, ok := errors.AsType[*config.Error](err); !ok || e.Line < 1 {
				t.Errorf("got %v, want the line", err)
			}
			return
		}
		if err := toml.Unmarshal(keyfile.Text(data), new(map[string]any)); err != nil {
			t.Errorf("go-toml does not accept it: %v", err)
		}
		for _, q := range []config.Query{{}, {GOOS: "linux", GOARCH: "arm64", Registry: parseURL(t, "https://registry.example.com")}} {
			if len(c.Choose(q).Candidates) == 0 {
				t.Errorf("%+v: nothing to try", q)
			}
		}
		c.Client(c.Backends(), config.Query{})
	})
}
