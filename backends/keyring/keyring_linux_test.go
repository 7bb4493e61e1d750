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
