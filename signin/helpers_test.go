package signin_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// startRegistry starts a registry that knows no key until the sign-in page adds one.
func startRegistry(t *testing.T) *challengetest.Registry {
	t.Helper()
	r, err := challengetest.Start(challengetest.Config{SignIn: true, InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// newClient returns a client for r whose key is a file that does not exist yet.
func newClient(t *testing.T, r *challengetest.Registry) *signin.Client {
	t.Helper()
	return &signin.Client{
		Server: parseOrigin(t, r.URL),
		Keys:   signer.Mux{"file": &file.Backend{}},
		Key:    "file:" + filepath.Join(t.TempDir(), "id_ed25519"),
		Base:   r.Client().Transport,
	}
}

func parseOrigin(t *testing.T, text string) challenge.Origin {
	t.Helper()
	o, err := challenge.ParseOrigin(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func ensureKey(t *testing.T, c *signin.Client) signer.Signer {
	t.Helper()
	key, err := c.EnsureKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// press does what the button of the sign-in page does.
func press(t *testing.T, r *challengetest.Registry, c *signin.Client, key signer.Signer) {
	t.Helper()
	page, err := c.Page(key)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.Client().PostForm(page, url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}
