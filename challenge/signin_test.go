package challenge_test

import (
	"crypto/ed25519"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
)

func TestSignInURLRefusesAPassword(t *testing.T) {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"https://user:secret@example.com", "https://example.com/?a", "https://example.com/#a", "ftp://example.com"} {
		if url, err := challenge.SignInURL(base, key, "host"); err == nil || url != "" {
			t.Errorf("%s: got %q, %v", base, url, err)
		}
	}
}
