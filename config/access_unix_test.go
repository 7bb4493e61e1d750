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
		{"others may replace it", 0o644, 0o777, "chmod go-w 'DIR'"},
		{"in a sticky directory", 0o644, 0o777 | os.ModeSticky, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "Application Support")
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
