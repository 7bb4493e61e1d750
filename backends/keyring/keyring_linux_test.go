package keyring_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer/signertest"
)

func TestSecretService(t *testing.T) {
	if !secretservice.Rerun(t, secretservice.Start) {
		return
	}
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{
			Backend:  &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: patience},
			BadNames: badNames,
		}
	})
}

func TestSecretServiceRace(t *testing.T) {
	testRace(t, secretservice.Start(t).Env(), keyring.SecretService)
}

func TestSecretServiceKill(t *testing.T) {
	testKill(t, secretservice.Start(t).Env(), keyring.SecretService, 200)
}

func TestSecretServiceReadWhileWritten(t *testing.T) {
	testReadWhileWritten(t, secretservice.Start(t).Env(), keyring.SecretService, 100)
}

// TestSecretTool is about items that other programs see, and make.
func TestSecretTool(t *testing.T) {
	s := secretservice.Start(t)
	secretservice.Require(t, "secret-tool", "ssh-keygen")
	w := startWorker(t, s.Env(), secretServiceOnly)
	made := generate(t, s, "made/here")

	found := s.Run("", "secret-tool", "search", "profile", "countersign:made/here")
	if !strings.Contains(found, "label = countersign:made/here") {
		t.Errorf("secret-tool shows no readable label:\n%s", found)
	}

	// The command is that of docs/keychain.md.
	pem := s.Run("", "sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f $HOME/key && cat $HOME/key")
	s.Run(pem, "secret-tool", "store", "--label=countersign:theirs", "profile", "countersign:theirs")
	want := strings.Fields(s.Run("", "sh", "-c", "ssh-keygen -l -f $HOME/key"))[1]
	if r := w.do("open", "theirs"); r.Key != want {
		t.Errorf("an item of secret-tool's opens as %s%s, want %s", r.Key, r.Error, want)
	}

	// A label is for people, who may change it; other programs' items are theirs.
	s.Run(pem, "secret-tool", "store", "--label=My Ollama key", "profile", "countersign:labelled")
	s.Run("x", "secret-tool", "store", "--label=countersign:not a key", "service", "mail")
	s.Run("x", "secret-tool", "store", "--label=aws", "profile", "aws-vault")
	if r, want := w.do("list", ""), []string{"labelled", "made/here", "theirs"}; !slices.Equal(r.Names, want) {
		t.Errorf("List: %q %s, want %q", r.Names, r.Error, want)
	}

	if r := w.do("delete", "theirs"); r.Error != "" {
		t.Error(r.Error)
	}
	if r := w.do("generate", "labelled"); !slices.Equal(r.Kinds, []string{"ErrExists"}) {
		t.Errorf("Generate over an item of secret-tool's: %s", r.Error)
	}
	if r := w.do("open", "made/here"); r.Key != made.Key {
		t.Errorf("the key is %s%s by now, was %s", r.Key, r.Error, made.Key)
	}
}

// TestAnotherKeyring moves a key to another keyring than the default one, as a
// person may.
func TestAnotherKeyring(t *testing.T) {
	t.Parallel()
	secretservice.Require(t, "secret-tool")
	s := secretservice.Start(t)
	s.Run("x", "secret-tool", "store", "--collection=session", "--label=countersign:key", "profile", "countersign:key")
	w := startWorker(t, s.Env(), secretServiceOnly)
	for _, op := range []string{"open", "passphrase", "delete"} {
		r := w.do(op, "key")
		if !slices.Equal(r.Kinds, []string{"ErrNotFound"}) || !strings.Contains(r.Error, `the keyring "session" has one`) {
			t.Errorf("%s: got error %v %q, want ErrNotFound and the other keyring", op, r.Kinds, r.Error)
		}
	}
	if r := w.do("open", "other"); strings.Contains(r.Error, "session") {
		t.Errorf("open of a key that no keyring has: %s", r.Error)
	}
}

// TestNoKeychainIsNotNoKey is about a program that asks what is there.
func TestNoKeychainIsNotNoKey(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		env        []string
		open, list []string // the kinds of the errors
	}{
		{"no bus", []string{"XDG_RUNTIME_DIR=" + t.TempDir()}, []string{"ErrUnavailable"}, []string{"ErrUnavailable"}},
		{"no service", secretservice.StartBus(t).Env(), []string{"ErrUnavailable"}, []string{"ErrUnavailable"}},
		{"no key", secretservice.Start(t).Env(), []string{"ErrNotFound"}, nil},
	}
	for _, tt := range tests {
		w := startWorker(t, tt.env, settings{Timeout: patience})
		if r := w.do("open", "key"); !slices.Equal(r.Kinds, tt.open) {
			t.Errorf("%s: Open: got error %v %s, want %v", tt.name, r.Kinds, r.Error, tt.open)
		}
		r := w.do("list", "")
		if !slices.Equal(r.Kinds, tt.list) || (r.Error == "") != (tt.list == nil) || len(r.Names) != 0 {
			t.Errorf("%s: List: got %q and error %v %s, want error %v", tt.name, r.Names, r.Kinds, r.Error, tt.list)
		}
	}
}

// TestListOfSeveralStores has one store that is locked, before and after one that
// is not.
func TestListOfSeveralStores(t *testing.T) {
	t.Parallel()
	s := secretservice.Start(t)
	provide(t, s, &fakeKWallet{}) // stays closed
	if r := startWorker(t, s.Env(), secretServiceOnly).do("generate", "key"); r.Error != "" {
		t.Fatal(r.Error)
	}
	for _, stores := range [][]keyring.Store{
		{keyring.SecretService, keyring.KWallet},
		{keyring.KWallet, keyring.SecretService},
	} {
		r := startWorker(t, s.Env(), settings{Stores: stores, Timeout: patience}).do("list", "")
		if !slices.Equal(r.Names, []string{"key"}) || !slices.Equal(r.Kinds, []string{"ErrLocked"}) {
			t.Errorf("%v: got %q and error %v %s, want the key and ErrLocked", stores, r.Names, r.Kinds, r.Error)
		}
	}
}
