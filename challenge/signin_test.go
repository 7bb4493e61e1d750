package challenge

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestSignInURLRefusesAPassword(t *testing.T) {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"https://user:secret@example.com", "https://example.com/?a", "https://example.com/#a", "ftp://example.com"} {
		in, err := SignInURL(base, key, "host")
		app, appErr := AppSignInURL(base, key, "host")
		out, outErr := SignOutURL(base, key)
		if err == nil || appErr == nil || outErr == nil || in+app+out != "" {
			t.Errorf("%s: got %q, %v; %q, %v; %q, %v", base, in, err, app, appErr, out, outErr)
		}
	}
}

func TestAppSignInURL(t *testing.T) {
	file, key := loadVectors(t)
	want := file.vector(t, "connect-url")
	got, err := AppSignInURL("https://ollama.com", key.PublicKey(), want.Extra.Hostname)
	if err != nil || got != want.URL {
		t.Errorf("got %s, %v\nwant %s", got, err, want.URL)
	}
	got, err = AppSignInURL("https://ollama.com", key.PublicKey(), "Ann's R&D Mac")
	if before, _, ok := strings.Cut(got, "&key="); err != nil || !ok || before != "https://ollama.com/connect?name=Ann%27s+R%26D+Mac" || !strings.HasSuffix(got, "&launch=true") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestSignOutURL(t *testing.T) {
	file, key := loadVectors(t)
	want, _, _ := strings.Cut(file.vector(t, "api-delete-key").URL, "?")
	if got, err := SignOutURL("https://ollama.com/", key.PublicKey()); err != nil || got != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}
