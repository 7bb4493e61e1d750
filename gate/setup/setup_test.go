package setup_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/gate/check"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

func options(dir string) setup.Options {
	return setup.Options{
		Folder: dir, Listen: "127.0.0.1:8080", Origin: "https://reg.example", Registry: "http://127.0.0.1:5000", Ollama: "http://127.0.0.1:11434",
		Blobs: "https://blobs.example.net", RootKey: "file:root.key", SigningKey: "file:token.key",
	}
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	keys := backends.New().Mux()
	made, err := setup.Init(t.Context(), options(dir), keys, time.Now())
	if err != nil || len(made) != 6 {
		t.Fatal(made, err)
	}
	c, err := config.Load(filepath.Join(dir, setup.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	report := check.Check(t.Context(), c, keys, time.Now())
	if len(report.Mistakes)+len(report.Warnings) != 0 || report.Keys != 0 || report.Grants != 0 {
		t.Errorf("got %+v", report)
	}
	for name, want := range map[string]os.FileMode{"root.key": 0o600, "token.key": 0o600, setup.BlobSecretFile: 0o600, setup.AuthorizedFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	// Nothing is replaced.
	before, err := os.ReadFile(filepath.Join(dir, setup.RootFile))
	if err != nil {
		t.Fatal(err)
	}
	if made, err := setup.Init(t.Context(), options(dir), keys, time.Now()); !errors.Is(err, signer.ErrExists) || len(made) != 0 {
		t.Errorf("again: %v, %v", made, err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, setup.RootFile)); err != nil || string(after) != string(before) {
		t.Errorf("the root certificate changed: %v", err)
	}
}

func TestInitRefusesBadOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	o := options(dir)
	o.Blobs = "https://blobs.reg.example"
	if _, err := setup.Init(t.Context(), o, backends.New().Mux(), time.Now()); err == nil || !strings.Contains(err.Error(), "blobs: want a host name") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a folder was made all the same")
	}
}

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	keys := backends.New().Mux()
	if _, err := setup.Init(t.Context(), options(dir), keys, time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, setup.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	seen := map[string]bool{}
	for range 3 {
		seen[read("token.key")+read("token.key.pub")+read(setup.CertificateFile)] = true
		// A rotation that was cut off leaves files behind.
		if err := os.WriteFile(filepath.Join(dir, "token.key.next"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := setup.Rotate(t.Context(), c.Sites[0], keys, time.Now())
		if err != nil || path != filepath.Join(dir, setup.CertificateFile) {
			t.Fatal(path, err)
		}
		if report := check.Check(t.Context(), c, keys, time.Now()); len(report.Mistakes) != 0 {
			t.Error(report.Mistakes)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d states, want 3", len(seen))
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.Contains(e.Name(), "next") || strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}
