package main

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ollama/ollama/api"
	_ "github.com/ollama/ollama/manifest" // go.mod must require the packages of the program below
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
)

// pullAndPush is a main function around Ollama's own PullModel and PushModel, which
// "ollama serve" calls for "ollama pull --insecure" and "ollama push --insecure".
const pullAndPush = `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ollama/ollama/api"
)

func main() {
	run := map[string]func(context.Context, string, *registryOptions, func(api.ProgressResponse)) error{
		"pull": PullModel, "push": PushModel,
	}[os.Args[1]]
	err := run(context.Background(), os.Args[2], &registryOptions{Insecure: true}, func(api.ProgressResponse) {})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
`

// TestOllamaPullsAndPushes runs Ollama's own code with two registries of package
// challengetest: it pulls an image from the first, pushes it to the second, and
// pulls it from there. Ollama has separate code for layers that hold tensors.
func TestOllamaPullsAndPushes(t *testing.T) {
	program := buildOllama(t)
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

			runOllama(t, program, home, there, "pull", first)
			manifests := filepath.Join(there, "manifests")
			manifest := strings.ReplaceAll(readText(t, manifests, host(t, first), "library", "demo", "latest"), "application/vnd.oci.image.layer.v1.tar", mediaType)
			writeText(t, manifest, manifests, host(t, second), "library", "demo", "latest")
			runOllama(t, program, home, there, "push", second)
			runOllama(t, program, home, back, "pull", second)

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

// buildOllama compiles the program and returns its path.
func buildOllama(t *testing.T) string {
	t.Helper()
	files, err := ollamaSource(t, "server").extractFiles("main", "PullModel", "PushModel")
	if err != nil {
		t.Fatal(err)
	}
	files["main.go"] = pullAndPush
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "program.exe"))
	for name, code := range files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		build.Args = append(build.Args, file)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "program.exe")
}

// runOllama pulls or pushes library/demo of r. The models are in the folder models.
func runOllama(t *testing.T, program, home, models, command string, r *challengetest.Registry) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, command, "http://"+host(t, r)+"/library/demo")
	cmd.Env = append(os.Environ(), "HOME="+home, "USERPROFILE="+home, "OLLAMA_MODELS="+models)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
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
