package signin_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// asking is a backend whose keys ask a person at the first signature.
type asking struct{ *file.Backend }

func newAsking() asking {
	return asking{&file.Backend{Passphrase: func(ctx context.Context, _ string) ([]byte, error) {
		defer signer.BeginPrompt(ctx, "window", "key")(nil)
		return []byte(passphrase), nil
	}}}
}

// putLockedKey puts a key that passphrase unlocks at the place of the client's key. It has
// one round of bcrypt, because 16 take a second with -race.
func putLockedKey(t *testing.T, c *signin.Client) {
	t.Helper()
	data, err := os.ReadFile("../signer/testdata/id_ed25519_locked")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(strings.TrimPrefix(c.Key, "file:"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

const passphrase = "correct horse"

// TestPromptOfEachRequest wants the events of a prompt at the first signature, wherever
// that is, and none later.
func TestPromptOfEachRequest(t *testing.T) {
	for name, request := range map[string]func(*testing.T, *signin.Client, signer.Signer){
		"Account": func(t *testing.T, c *signin.Client, key signer.Signer) {
			if _, err := c.Account(t.Context(), key); err == nil {
				t.Error("a key that nobody knows has an account")
			}
		},
		"HTTP": func(t *testing.T, c *signin.Client, _ signer.Signer) {
			resp, err := c.HTTP().Get(c.Server.String() + "/v2/demo/manifests/latest")
			if err == nil {
				resp.Body.Close()
				t.Error("a key that nobody knows opens a resource")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRegistry(t)
			var events []signer.PromptState
			c := newClient(t, r)
			c.Keys = signer.Mux{"file": newAsking()}
			putLockedKey(t, c)
			c.Prompt = func(e signer.PromptEvent) {
				if e.Key != c.Key || e.Store != "window" {
					t.Errorf("got %+v", e)
				}
				events = append(events, e.State)
			}
			key := ensureKey(t, c)
			request(t, c, key)
			request(t, c, key)
			if diff := cmp.Diff([]signer.PromptState{signer.PromptOpened, signer.PromptAllowed}, events); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAsk wants the app's own function to be asked for the passphrase of a key that New
// found.
func TestAsk(t *testing.T) {
	r := startRegistry(t)
	t.Setenv("COUNTERSIGN_CONFIG", os.DevNull)
	locked := newClient(t, r)
	putLockedKey(t, locked)
	newClient := func(ask signer.PassphraseFunc) *signin.Client {
		c, err := signin.New(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		c.Key, c.Base, c.Ask, c.StateDir = locked.Key, locked.Base, ask, ""
		return c
	}
	secret := func(context.Context, string) ([]byte, error) { return []byte(passphrase), nil }
	refuse := func(context.Context, string) ([]byte, error) { return nil, signer.ErrDenied }
	for want, ask := range map[error]signer.PassphraseFunc{signin.ErrNotConnected: secret, signer.ErrDenied: refuse, signer.ErrLocked: nil} {
		c := newClient(ask)
		if account, err := c.Account(t.Context(), ensureKey(t, c)); !errors.Is(err, want) {
			t.Errorf("got %+v, %v; want %v", account, err, want)
		}
	}
}
