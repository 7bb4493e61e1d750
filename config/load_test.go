package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// home makes a home directory that the platform's convention leads to, and
// returns where the configuration file is in it.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("COUNTERSIGN_CONFIG", "")
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData", "home"} {
		t.Setenv(name, dir)
	}
	base, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(base, "countersign", "config.toml")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadDefault(t *testing.T) {
	path := home(t)
	write(t, path, "# mine\nkeys = [\"env:MINE\"]\n")
	c, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.File() != path || config.Path() != path {
		t.Errorf("read from %q, and Path is %q, want %q", c.File(), config.Path(), path)
	}
	want := config.Source{Level: config.FromFile, File: path, Line: 2}
	if got := c.Choose(config.Query{}).Candidates[0].Source; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A relative one is no reason to overlook what the file in the home forbids.
func TestLoadRelativeXDG(t *testing.T) {
	switch runtime.GOOS {
	case "windows", "darwin", "ios", "plan9":
		t.Skip("XDG_CONFIG_HOME means nothing here")
	}
	home(t)
	t.Setenv("XDG_CONFIG_HOME", "relative")
	path := filepath.Join(os.Getenv("HOME"), ".config", "countersign", "config.toml")
	write(t, path, `keys = ["env:MINE"]`)
	c, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.File() != path || config.Path() != path {
		t.Errorf("read from %q, and Path is %q, want %q", c.File(), config.Path(), path)
	}
	t.Setenv("HOME", "")
	if got := config.Path(); got != "" {
		t.Errorf("Path is %q without a home", got)
	}
}

func TestLoadNamed(t *testing.T) {
	write(t, home(t), `keys = ["env:DEFAULT"]`)
	path := filepath.Join(t.TempDir(), "other.toml")
	write(t, path, `keys = ["env:NAMED"]`)
	t.Setenv("COUNTERSIGN_CONFIG", path)
	c, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := refs(c.Choose(config.Query{})); got != "file env:NAMED" || c.File() != path {
		t.Errorf("got %s from %s", got, c.File())
	}
}

// With no file, and nothing left behind where it would be.
func TestLoadNone(t *testing.T) {
	path := home(t)
	c, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := refs(c.Choose(config.Query{})); !strings.HasPrefix(got, "built-in ") || c.File() != "" {
		t.Errorf("got %s from %q", got, c.File())
	}
	if config.Path() != path {
		t.Errorf("Path is %q, want %q", config.Path(), path)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load made %s: %v", filepath.Dir(path), err)
	}
}

func TestLoadWithoutHome(t *testing.T) {
	t.Setenv("COUNTERSIGN_CONFIG", "")
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData", "home"} {
		t.Setenv(name, "")
	}
	if _, err := config.Load(); err != nil || config.Path() != "" {
		t.Errorf("Path is %q, Load: %v", config.Path(), err)
	}
}

// As services have it.
func TestLoadHomeIsNoDirectory(t *testing.T) {
	home(t)
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData", "home"} {
		t.Setenv(name, os.DevNull)
	}
	if _, err := config.Load(); err != nil {
		t.Error(err)
	}
}

func TestLoadFails(t *testing.T) {
	t.Run("named and missing", func(t *testing.T) {
		t.Setenv("COUNTERSIGN_CONFIG", filepath.Join(t.TempDir(), "none.toml"))
		_, err := config.Load()
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "COUNTERSIGN_CONFIG") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("default that is not readable", func(t *testing.T) {
		path := home(t)
		if err := os.MkdirAll(path, 0o700); err != nil { // a directory, which root cannot read either
			t.Fatal(err)
		}
		_, err := config.Load()
		if hint, _ := signer.HintOf(err); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(hint.Do, os.DevNull) {
			t.Errorf("got %v, want the path and a way out", err)
		}
	})
	t.Run("mistake", func(t *testing.T) {
		path := home(t)
		write(t, path, "\n\nkyes = []")
		_, err := config.Load()
		if want := path + `:3: unknown key "kyes": did you mean "keys"?`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// The way out that Load tells of.
func TestLoadNullDevice(t *testing.T) {
	if runtime.GOOS == "plan9" {
		t.Skip("not tried there")
	}
	t.Setenv("COUNTERSIGN_CONFIG", os.DevNull)
	if _, err := config.Load(); err != nil {
		t.Error(err)
	}
}
