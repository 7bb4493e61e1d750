package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// variable names the configuration file.
const variable = "COUNTERSIGN_CONFIG"

const maxSize = 1 << 20

// An Error is a mistake in a configuration file. It never repeats a malformed
// reference: that may be a key, pasted into the wrong place.
type Error struct {
	File string
	Line int // 1 for the first
	Msg  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %s", printable.Text(e.File), e.Line, e.Msg)
}

// Path returns the path of the configuration file, which need not exist: the value of
// COUNTERSIGN_CONFIG, or else countersign/config.toml in [os.UserConfigDir]. It returns
// "" if there is no such directory, as for a user without a home.
func Path() string {
	path, _ := locate()
	return path
}

func locate() (path string, named bool) {
	if path := os.Getenv(variable); path != "" {
		return path, true
	}
	dir, err := configDir()
	if err != nil {
		return "", false
	}
	return filepath.Join(dir, "countersign", "config.toml"), false
}

// configDir ignores a relative XDG_CONFIG_HOME, as the XDG Base Directory
// Specification has it. [os.UserConfigDir] fails there, and the file of the home
// directory, which may forbid something, would not be read.
func configDir() (string, error) {
	dir, err := os.UserConfigDir()
	if xdg := os.Getenv("XDG_CONFIG_HOME"); err == nil || xdg == "" || filepath.IsAbs(xdg) {
		return dir, err
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".config"), err
}

// Load reads the configuration file at [Path]. If the file does not exist, the Config is
// that of an empty file, unless COUNTERSIGN_CONFIG names the file: then it is an error.
// A file that cannot be read is an error, because it may forbid something. Load reports
// all mistakes, as [Parse] does.
func Load() (*Config, error) {
	path, named := locate()
	if path == "" {
		return &Config{}, nil
	}
	data, err := readFile(path)
	switch {
	case err == nil:
		return Parse(data, path)
	case !named && keyfile.IsMissing(err):
		return &Config{}, nil
	case named:
		err = fmt.Errorf("configuration file named by %s: %w", variable, err)
		return nil, signer.WithHint(err, signer.Hint{Do: "correct that variable, or unset it"})
	}
	err = fmt.Errorf("configuration file: %w", err)
	return nil, signer.WithHint(err, signer.Hint{Do: fmt.Sprintf("make it readable, or set %s to another file (%s for none)", variable, os.DevNull)})
}

// ReadFile reads the configuration file at path, wherever that is. Its errors
// are those of package os and of [Parse].
func ReadFile(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(data, path)
}

// readFile never waits, as it would for a pipe, and never goes on for ever.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, printable.Error(err)
	}
	if info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return nil, fmt.Errorf("%s is no file but a pipe or a socket", printable.Text(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, printable.Error(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("%s is no configuration: it has more than %d bytes", printable.Text(path), maxSize)
	}
	return data, printable.Error(err)
}

// Parse reads a configuration from memory, in a time that grows with its size and
// no faster. Errors and explanations name it as file. The error is one mistake or
// several joined, each an *[Error]. After 20 mistakes Parse stops and says so.
func Parse(data []byte, file string) (*Config, error) {
	data = keyfile.Text(data)
	r := reader{mistakes: mistakes{file: file}, config: &Config{file: file, platforms: map[string]*section{}, registries: map[string]*section{}, origins: map[challenge.Origin]*section{}, plugins: map[string]plugin.Program{}}}
	r.read(data)
	if err := r.err(); err != nil {
		return nil, err
	}
	return r.config, nil
}
