package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A program opens a key of its own backend that the configuration file names.
func TestSchemeOfTheProgram(t *testing.T) {
	mine := new(signertest.Memory)
	made, err := mine.Generate(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	keys := backends.New().Mux()
	keys["mine"] = mine
	c := parse(t, "keys = ['env:ABSENT', 'mine:key']\n")
	s, _, err := c.Choose(config.Query{}).Open(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(s.PublicKey().Marshal()), string(made.PublicKey().Marshal()); got != want {
		t.Error("another key was opened")
	}
	if err := c.CheckSchemes(backends.New().Mux()); err != nil {
		t.Errorf("CheckSchemes: %v, want no error for a scheme of another program", err)
	}
}

// An unknown scheme ends the search when its turn comes, and not before.
func TestUnknownScheme(t *testing.T) {
	for _, tt := range []struct{ scheme, hint string }{
		{"keyrng", `did you mean "keyring:"?`},
		{"flie", `did you mean "file:"?`},
		{"mine", ""},
	} {
		c := parse(t, "keys = ['env:ABSENT', '"+tt.scheme+":key', 'env:WEAKER']\n")
		t.Setenv("WEAKER", "not even read")
		_, e, err := c.Choose(config.Query{}).Open(t.Context(), c.Backends())
		if !errors.Is(err, signer.ErrName) || len(e.Tried) != 2 || e.Tried[1].Outcome != config.Failed {
			t.Errorf("%s: got %v after %+v, want ErrName at the second key", tt.scheme, err, e.Tried)
		}
		if h, _ := signer.HintOf(err); h.Do != tt.hint {
			t.Errorf("%s: the hint is %q, want %q", tt.scheme, h.Do, tt.hint)
		}
	}
}

func TestCheckSchemes(t *testing.T) {
	c := parse(t, "keys = ['env:A', 'mine:b']\n[platform.plan9]\nkeys = [\n 'file:/c',\n 'keyrng:d',\n]\n[registry.h]\nkeys = ['evn:e']\n")
	err := c.CheckSchemes(c.Backends().Mux())
	if err == nil {
		t.Fatal("got no error for misspelt schemes")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `:5: `) || !strings.HasSuffix(lines[0], `did you mean "keyring:"?`) ||
		!strings.Contains(lines[1], `:8: `) || !strings.HasSuffix(lines[1], `did you mean "env:"?`) {
		t.Errorf("got %q, want the lines 5 and 8 with suggestions", lines)
	}
	if e, ok := errors.AsType[*config.Error](err); !ok || e.Line != 5 {
		t.Errorf("got %+v, want a *config.Error for line 5", e)
	}
}
