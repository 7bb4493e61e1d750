package config_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func start(t *testing.T, c challengetest.Config) *challengetest.Registry {
	t.Helper()
	registry, err := challengetest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	registry.AddImage("library/llama3", "latest", []byte("weights"))
	return registry
}

// get gets a manifest with c, which answers the challenge.
func get(t *testing.T, c *challenge.Client, registry *challengetest.Registry) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, registry.URL+"/v2/library/llama3/manifests/latest", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &challenge.Transport{Client: c}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func host(r *challengetest.Registry) string { return strings.TrimPrefix(r.URL, "http://") }

func generate(t *testing.T, dir, name string) ssh.PublicKey {
	t.Helper()
	s, err := (&file.Backend{}).Generate(t.Context(), dir+"/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return s.PublicKey()
}

// Each registry knows one of two keys, and gets that one.
func TestClientHasAKeyForEachRegistry(t *testing.T) {
	dir := t.TempDir()
	one := start(t, challengetest.Config{Keys: []ssh.PublicKey{generate(t, dir, "one")}})
	two := start(t, challengetest.Config{Keys: []ssh.PublicKey{generate(t, dir, "two")}})
	c := parse(t, fmt.Sprintf("keys = ['file:%[1]s/one']\n[registry.%[2]q]\nkeys = ['file:%[1]s/two']\n", dir, host(two)))

	client := c.Client(c.Backends(), config.Query{})
	for _, registry := range []*challengetest.Registry{one, two} {
		if err := get(t, client, registry); err != nil {
			t.Error(err)
		}
	}

	// What was asked for holds for both; the error of the other tells of it.
	client = c.Client(c.Backends(), config.Query{Flag: "file:" + dir + "/one"})
	if err := get(t, client, one); err != nil {
		t.Error(err)
	}
	err := get(t, client, two)
	if !errors.Is(err, challenge.ErrRejected) || !strings.Contains(err.Error(), "(file:"+dir+"/one, from --key)") {
		t.Errorf("got %v, want the key and where it was asked for", err)
	}
}

// A counter counts how often its key is opened, and can make it stale.
type counter struct {
	signer.Signer
	opened atomic.Int32
	stale  atomic.Bool
}

func (c *counter) Open(context.Context, string) (signer.Signer, error) {
	c.opened.Add(1)
	c.stale.Store(false)
	return c, nil
}

func (c *counter) Stale() bool { return c.stale.Load() }

func TestClientOpensAKeyOnce(t *testing.T) {
	one, two := start(t, challengetest.Config{}), start(t, challengetest.Config{})
	c := parse(t, fmt.Sprintf("keys = ['env:NONE', 'file:key']\n[registry.%q]\nkeys = ['file:key']\n", host(two)))
	key := &counter{Signer: newSigner(t)}
	keys := stores(t)
	keys["file"] = key

	client := c.Client(keys, config.Query{})
	if n := key.opened.Load(); n != 0 {
		t.Errorf("opened %d times before the first challenge", n)
	}
	for range 3 {
		for _, registry := range []*challengetest.Registry{one, two} {
			if err := get(t, client, registry); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := key.opened.Load(); n != 1 {
		t.Errorf("opened %d times for two registries, want once", n)
	}
	key.stale.Store(true)
	if err := get(t, client, one); err != nil {
		t.Fatal(err)
	}
	if n := key.opened.Load(); n != 2 {
		t.Errorf("opened %d times after it was replaced, want twice", n)
	}
}

// A realm on another origin is refused until the registry's section names it.
func TestClientFollowsRealms(t *testing.T) {
	registry := start(t, challengetest.Config{Login: true})
	resp, err := http.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		t.Fatal(err)
	}
	realm := parseURL(t, ch.Get("realm"))

	for text, want := range map[string]error{
		"": challenge.ErrRealm,
		fmt.Sprintf("[registry.\"other.example.com\"]\nrealms = [\"http://%s\"]", realm.Host): challenge.ErrRealm,
		fmt.Sprintf("[registry.%q]\nrealms = [\"http://%s\"]", host(registry), realm.Host):    nil,
	} {
		c := parse(t, text)
		err := get(t, c.Client(stores(t), config.Query{Flag: "file:key"}), registry)
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("with %q: got %v, want %v", text, err, want)
		}
	}
}

func equal(a, b challenge.Origin) bool { return a == b }

func TestClientPolicy(t *testing.T) {
	origin := func(text string) challenge.Origin {
		o, err := challenge.ParseOrigin(text)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	pair := func(registry, realm string) challenge.RealmPair {
		return challenge.RealmPair{Registry: origin(registry), Realm: origin(realm)}
	}
	defaults := challenge.DefaultRealms()
	for _, tt := range []struct {
		name, text string
		realms     []challenge.RealmPair
		insecure   []challenge.Origin
	}{
		{"nothing said", "", defaults, nil},
		{"keys say nothing of realms", "[registry.\"hf.co\"]\nkeys = [\"env:A\"]", defaults, nil},
		{"a default taken away", "[registry.\"HF.co:443\"]\nrealms = []", defaults[:1], nil},
		{"all taken away", "registry.\"hf.co\".realms = []\nregistry.\"registry.ollama.ai\".realms = []", []challenge.RealmPair{}, nil},
		{
			"a default replaced", "[registry.\"registry.ollama.ai\"]\nrealms = [\"https://ollama.example.com\"]",
			[]challenge.RealmPair{defaults[1], pair("https://registry.ollama.ai", "https://ollama.example.com")},
			nil,
		},
		{
			"plain http only where it is allowed",
			"[registry.h]\nrealms = [\"https://login\"]\n[registry.\"i:5000\"]\ninsecure = true\nrealms = [\"http://login\"]\n[registry.localhost]\nrealms = [\"http://localhost:81\"]\n[registry.j]\ninsecure = false",
			append(
				defaults,
				pair("https://h", "https://login"),
				pair("https://i:5000", "http://login"), pair("http://i:5000", "http://login"),
				pair("https://localhost", "http://localhost:81"), pair("http://localhost", "http://localhost:81"),
			),
			[]challenge.Origin{origin("http://i:5000")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy := parse(t, tt.text).Client(signer.Mux{}, config.Query{}).Policy
			if diff := cmp.Diff(tt.realms, policy.Pairs, cmp.Comparer(equal)); diff != "" {
				t.Errorf("realms (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.insecure, policy.Insecure, cmp.Comparer(equal)); diff != "" {
				t.Errorf("insecure (-want +got):\n%s", diff)
			}
		})
	}
}

// A client uses the new key after a key was deleted and made again.
func TestClientUsesTheNewKey(t *testing.T) {
	path := t.TempDir() + "/key"
	for _, tt := range []struct {
		scheme, name string
		backend      interface {
			signer.Backend
			signer.Generator
			signer.Deleter
		}
	}{
		{"mem", "key", new(signertest.Memory)},
		{"kept", "key", &signer.Keeper{Backend: new(signertest.Memory)}},
		{"file", path, new(file.Backend)},
	} {
		t.Run(tt.scheme, func(t *testing.T) {
			ref := tt.scheme + ":" + tt.name
			client := new(config.Config).Client(signer.Mux{tt.scheme: tt.backend}, config.Query{Flag: ref})
			origin, err := challenge.ParseOrigin("https://registry.example.com")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				made, err := tt.backend.Generate(t.Context(), tt.name)
				if err != nil {
					t.Fatal(err)
				}
				s, err := client.Key(t.Context(), origin)
				if err != nil {
					t.Fatal(err)
				}
				if want, got := ssh.FingerprintSHA256(made.PublicKey()), ssh.FingerprintSHA256(s.PublicKey()); got != want {
					t.Errorf("the client uses %s, want the key that was just made, %s", got, want)
				}
				if err := tt.backend.Delete(t.Context(), tt.name); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Key(t.Context(), origin); !errors.Is(err, signer.ErrNotFound) {
				t.Errorf("after Delete: got error %v, want ErrNotFound", err)
			}
		})
	}
}
