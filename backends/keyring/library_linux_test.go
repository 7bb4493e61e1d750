package keyring_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
)

// libraryProgram uses 99designs/keyring alone, as this package did for the stores
// on D-Bus before it had clients of its own. Keys of that time must stay usable.
const libraryProgram = `package main

import (
	"fmt"
	"io"
	"os"

	"github.com/99designs/keyring"
)

func main() {
	config := keyring.Config{LibSecretCollectionName: "login"}
	if os.Args[1] == "kwallet" {
		config = keyring.Config{ServiceName: "kdewallet", KWalletAppID: "countersign", KWalletFolder: "countersign"}
	}
	config.AllowedBackends = []keyring.BackendType{keyring.BackendType(os.Args[1])}
	ring, err := keyring.Open(config)
	if err != nil {
		fail(err)
	}
	switch key := os.Args[3]; os.Args[2] {
	case "get":
		item, err := ring.Get(key)
		if err != nil {
			fail(err)
		}
		os.Stdout.Write(item.Data)
	case "set":
		data, _ := io.ReadAll(os.Stdin)
		if err := ring.Set(keyring.Item{Key: key, Label: "countersign:" + os.Args[4], Data: data, Description: "SSH private key"}); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
`

func TestItemsOfTheLibrary(t *testing.T) {
	dir := t.TempDir()
	source, library := filepath.Join(dir, "main.go"), filepath.Join(dir, "library")
	if err := os.WriteFile(source, []byte(libraryProgram), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	for _, store := range []struct {
		store  keyring.Store
		start  func(testing.TB) *secretservice.Session
		prefix string
	}{
		{keyring.SecretService, secretservice.Start, "countersign:"},
		{keyring.KWallet, startKWallet, ""},
	} {
		t.Run(string(store.store), func(t *testing.T) {
			s := store.start(t)
			w := startWorker(t, s.Env(), patient(store.store))
			made := w.do("generate", "a/b")
			pem := s.Run("", library, string(store.store), "get", store.prefix+"a/b")
			if made.Error != "" || !strings.HasPrefix(pem, "-----BEGIN OPENSSH PRIVATE KEY-----") {
				t.Fatalf("the library reads our item %s as %q", made.Error, pem)
			}
			s.Run(pem, library, string(store.store), "set", store.prefix+"theirs", "theirs")
			if r := w.do("open", "theirs"); r.Key != made.Key {
				t.Errorf("the library's item opens as %s%s, want %s", r.Key, r.Error, made.Key)
			}
			if r := w.do("list", ""); strings.Join(r.Names, " ") != "a/b theirs" {
				t.Errorf("list is %q %s", r.Names, r.Error)
			}
			if r := w.do("delete", "theirs"); r.Error != "" {
				t.Error(r.Error)
			}
		})
	}
}
