//go:build unix

package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// tempDir is reached by no link, as macOS's own is.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckAccess(t *testing.T) {
	for _, tt := range []struct {
		name      string
		file, dir os.FileMode
		run       string // "" if nothing is wrong
	}{
		{"only the user's", 0o600, 0o700, ""},
		{"readable by all", 0o644, 0o755, ""},
		{"group may write", 0o664, 0o755, "chmod go-w 'FILE'"},
		{"others may write", 0o602, 0o755, "chmod go-w 'FILE'"},
		{"others may write, a sticky file", 0o602 | os.ModeSticky, 0o755, "chmod go-w 'FILE'"},
		{"others may replace it", 0o644, 0o777, "chmod go-w 'DIR'"},
		{"in a sticky directory", 0o644, 0o777 | os.ModeSticky, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(tempDir(t), "Application Support")
			file := filepath.Join(dir, "config.toml")
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(file, nil, 0o600), os.Chmod(file, tt.file), os.Chmod(dir, tt.dir)); err != nil {
				t.Fatal(err)
			}
			err := config.CheckAccess(file)
			if tt.run == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := "run: " + strings.NewReplacer("FILE", file, "DIR", dir).Replace(tt.run)
			if !errors.Is(err, signer.ErrInsecure) || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	if err := config.CheckAccess(os.DevNull); err != nil {
		t.Errorf("no configuration at all: %v", err)
	}
}

func TestCheckAccessOfLink(t *testing.T) {
	dir, link := tempDir(t), filepath.Join(tempDir(t), "link.toml")
	file := filepath.Join(dir, "config.toml")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	if err := config.CheckAccess(link); err != nil {
		t.Error(err)
	}
	for _, open := range []string{dir, filepath.Dir(link)} {
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := config.CheckAccess(link); !errors.Is(err, signer.ErrInsecure) || !strings.HasSuffix(err.Error(), "chmod go-w "+open) {
			t.Errorf("with %s open: %v", open, err)
		}
		if err := os.Chmod(open, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckAccessOfOthersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away: run the tests as root, too")
	}
	dir := tempDir(t)
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, dir} {
		if err := os.Chown(path, 12345, -1); err != nil {
			t.Fatal(err)
		}
		if err := config.CheckAccess(file); !errors.Is(err, signer.ErrInsecure) || !strings.Contains(err.Error(), path+" belongs to another user (uid 12345)") {
			t.Errorf("%s of another: %v", path, err)
		}
		if err := os.Chown(path, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
}
