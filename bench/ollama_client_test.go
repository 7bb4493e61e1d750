package main

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ollama/ollama/api"
	_ "github.com/ollama/ollama/manifest" // go.mod must require the packages of ollamapull.Build
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/ollamapull"
)

// TestOllamaPullsAndPushes runs Ollama's own code with two registries of package
// challengetest: it pulls an image from the first, pushes it to the second, and
// pulls it from there. Ollama has separate code for layers that hold tensors.
func TestOllamaPullsAndPushes(t *testing.T) {
	program := ollamapull.Build(t)
	for name, mediaType := range map[string]string{
		"layers":  "application/vnd.oci.image.layer.v1.tar",
		"tensors": "application/vnd.ollama.image.tensor",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // Ollama waits for a second after each layer
			home := newHome(t)
			config := challengetest.Config{CDN: true, Keys: []ssh.PublicKey{readPublicKey(t, home)}}
			first, second := startRegistry(t, config), startRegistry(t, config)
			first.AddImage("library/demo", "latest", []byte("weights"), []byte("template"))
			there, back := t.TempDir(), t.TempDir()

			run := func(models, command string, r *challengetest.Registry) {
				t.Helper()
				if err := program.Run(t.Context(), home, models, command, r.URL+"/library/demo"); err != nil {
					t.Fatal(err)
				}
			}
			run(there, "pull", first)
			manifests := filepath.Join(there, "manifests")
			manifest := strings.ReplaceAll(readText(t, manifests, host(t, first), "library", "demo", "latest"), "application/vnd.oci.image.layer.v1.tar", mediaType)
			writeText(t, manifest, manifests, host(t, second), "library", "demo", "latest")
			run(there, "push", second)
			run(back, "pull", second)

			if diff := cmp.Diff(readAll(t, filepath.Join(there, "blobs")), readAll(t, filepath.Join(back, "blobs"))); diff != "" {
				t.Errorf("the blobs changed on the way (-pushed +pulled):\n%s", diff)
			}
			if s := second.Stats(); s.CDN == 0 || s.Tokens == 0 || s.Signatures != s.Exchanges {
				t.Errorf("not all requests were signed and followed to the CDN: %+v", s)
			}
		})
	}
}

// TestOllamaAPI runs the client that Ollama's command uses, with OLLAMA_AUTH=1.
func TestOllamaAPI(t *testing.T) {
	home := newHome(t)
	setHome(t, home)
	t.Setenv("OLLAMA_AUTH", "1")
	server := startRegistry(t, challengetest.Config{SignIn: true})
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := api.NewClient(base, server.Client())
	if err := client.Heartbeat(t.Context()); err != nil {
		t.Errorf("HEAD /: %v", err)
	}

	_, err = client.Whoami(t.Context())
	refused, ok := errors.AsType[api.AuthorizationError](err)
	if !ok || refused.StatusCode != http.StatusUnauthorized || refused.SigninURL == "" {
		t.Fatalf("before the sign-in: %#v", err)
	}
	resp, err := server.Client().Post(refused.SigninURL, "", nil) // press the button
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if user, err := client.Whoami(t.Context()); err != nil || user.Name == "" {
		t.Errorf("after the sign-in: %+v, %v", user, err)
	}
	if _, err := client.List(t.Context()); err != nil {
		t.Errorf("list: %v", err)
	}
	if s := server.Stats(); s.API != 3 || s.Signatures != s.API {
		t.Errorf("not all requests were signed: %+v", s)
	}
}

func startRegistry(t *testing.T, c challengetest.Config) *challengetest.Registry {
	t.Helper()
	r, err := challengetest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func host(t *testing.T, r *challengetest.Registry) string {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func readText(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeText(t *testing.T, text string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readAll returns the files in folder by name.
func readAll(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%s is empty: %v", folder, err)
	}
	files := map[string]string{}
	for _, e := range entries {
		files[e.Name()] = readText(t, folder, e.Name())
	}
	return files
}
