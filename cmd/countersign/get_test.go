package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/terminal"
)

const blobText = "the weights of a small model"

// A getter runs the command get in this process, with a key and a registry.
type getter struct {
	t              *testing.T
	registry       *challengetest.Registry
	blob           string // the URL of a blob with blobText
	stdout, stderr bytes.Buffer
}

func newGetter(t *testing.T) *getter {
	t.Helper()
	registry, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	digest := registry.AddImage("library/demo", "latest", []byte(blobText))[0]
	t.Setenv("COUNTERSIGN_CONFIG", os.DevNull)
	t.Setenv("COUNTERSIGN_KEY", "env:OLLAMA_KEY")
	return &getter{t: t, registry: registry, blob: registry.URL + "/v2/library/demo/blobs/" + digest}
}

// run runs get and returns its exit code.
func (g *getter) run(args ...string) int {
	g.t.Helper()
	g.t.Setenv("OLLAMA_KEY", strings.Repeat("00", 32)) // the command removes it
	g.stdout.Reset()
	g.stderr.Reset()
	a := &app{stdin: strings.NewReader(""), stdout: &g.stdout, stderr: &g.stderr, terminal: terminal.New(&g.stderr)}
	defer a.terminal.Close()
	return a.execute(g.t.Context(), append([]string{"get"}, args...))
}

// failContent gives the next request with a token a fault.
func (g *getter) failContent(f challengetest.Fault) {
	g.registry.Fail(challengetest.Resources, 1, func(next http.Handler) http.Handler { return next }) // the challenge
	g.registry.Fail(challengetest.Resources, 1, f)
}

// cutAfter closes the connection after n bytes of the body.
func cutAfter(n int) challengetest.Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			next.ServeHTTP(&cutWriter{w, n}, req)
		})
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestGetContinues(t *testing.T) {
	g := newGetter(t)
	file := filepath.Join(t.TempDir(), "model.bin")
	g.failContent(cutAfter(5))
	if code := g.run("-o", file, g.blob); code != exitFailed || !strings.Contains(g.stderr.String(), file+".partial has the first 5 bytes") {
		t.Fatalf("exit code %d: %s", code, &g.stderr)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is there before it is complete: %v", err)
	}
	if code := g.run("-o", file, "--continue", g.blob); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &g.stderr)
	}
	if got, err := os.ReadFile(file); string(got) != blobText {
		t.Errorf("the file has %q, %v", got, err)
	}
	if got := g.registry.Last(challengetest.Resources).Header.Get("Range"); got != "bytes=5-" {
		t.Errorf("the second request had Range %q", got)
	}
	wantFolder(t, filepath.Dir(file), "model.bin")
}

func TestGetChecksDigest(t *testing.T) {
	other := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other weights") })
	}
	g := newGetter(t)
	file := filepath.Join(t.TempDir(), "model.bin")
	g.failContent(other)
	if code := g.run("-o", file, g.blob); code != exitFailed || !strings.Contains(g.stderr.String(), "another digest") {
		t.Errorf("exit code %d: %s", code, &g.stderr)
	}
	wantFolder(t, filepath.Dir(file))
	g.failContent(other)
	if code := g.run(g.blob); code != exitFailed || !strings.Contains(g.stderr.String(), "another digest") {
		t.Errorf("to stdout: exit code %d: %s", code, &g.stderr)
	}
}

func TestGetHeader(t *testing.T) {
	g := newGetter(t)
	if code := g.run("-H", "X-Test: one", "--header", "user-agent: mine", g.blob); code != exitDone || g.stdout.String() != blobText {
		t.Fatalf("exit code %d: %s", code, &g.stderr)
	}
	sent := g.registry.Last(challengetest.Resources).Header
	if sent.Get("X-Test") != "one" || sent.Get("User-Agent") != "mine" {
		t.Errorf("sent %v", sent)
	}
}

// A registry of CNCF distribution answers 404 for a manifest of a type that the client
// does not name.
func TestGetAcceptsAllManifests(t *testing.T) {
	g := newGetter(t)
	manifest := g.registry.URL + "/v2/library/demo/manifests/latest"
	for want, args := range map[string][]string{
		"application/vnd.oci.image.manifest.v1+json": {manifest},
		"text/plain": {"--header", "Accept: text/plain", manifest},
		"":           {g.blob},
	} {
		if code := g.run(args...); code != exitDone {
			t.Fatalf("exit code %d: %s", code, &g.stderr)
		}
		if got, _, _ := strings.Cut(g.registry.Last(challengetest.Resources).Header.Get("Accept"), ","); got != want {
			t.Errorf("%q: sent Accept: %s, want %s", args, got, want)
		}
	}
}

func TestGetUsage(t *testing.T) {
	g := newGetter(t)
	for name, args := range map[string][]string{
		"no file to continue":      {"--continue", g.blob},
		"stdout cannot continue":   {"--continue", "-o", "-", g.blob},
		"no header field":          {"-H", "hunter2", g.blob},
		"the token's field":        {"-H", "Authorization: hunter2", g.blob},
		"a key in the URL's place": {"hunter2hunter2hunter2hunter2"},
		"a token in its place":     {"eyJhbGciOi.hunter2.J9"},
	} {
		if code := g.run(args...); code != exitUsage || strings.Contains(g.stderr.String(), "hunter2") {
			t.Errorf("%s: exit code %d: %s", name, code, &g.stderr)
		}
	}
	if s := g.registry.Stats(); s.Resources != 0 {
		t.Errorf("%d requests were sent", s.Resources)
	}
}

// TestGetHidesRedirectQuery has a server redirect to an address that is a secret.
func TestGetHidesRedirectQuery(t *testing.T) {
	for name, to := range map[string]string{"refused": "/v2/library/demo/blobs/sha256:00", "closed": "http://127.0.0.1:1/blob"} {
		g := newGetter(t)
		g.failContent(challengetest.Reply(http.StatusTemporaryRedirect, "", "Location", to+"?signature=hunter2"))
		if code := g.run(g.blob); code != exitFailed || strings.Contains(g.stderr.String(), "hunter2") {
			t.Errorf("%s: exit code %d: %s", name, code, &g.stderr)
		}
	}
}

func TestVerboseShowsTheExchange(t *testing.T) {
	g := newGetter(t)
	if code := g.run("--verbose", g.blob); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &g.stderr)
	}
	for _, want := range []string{"msg=challenged registry=" + g.registry.URL, "scope=repository:library/demo:pull", "key=SHA256:", `ref="env:OLLAMA_KEY`} {
		if !strings.Contains(g.stderr.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &g.stderr)
		}
	}
	token := strings.TrimPrefix(g.registry.Last(challengetest.Resources).Header.Get("Authorization"), "Bearer ")
	if token == "" || strings.Contains(g.stderr.String(), token) || strings.Contains(g.stderr.String(), "time=") {
		t.Errorf("stderr shows\n%s", &g.stderr)
	}
	if code := g.run(g.blob); code != exitDone || g.stderr.Len() > 0 {
		t.Errorf("without --verbose: %d, %s", code, &g.stderr)
	}
}

// TestGetEndsWithItsContext wants the part kept when a person presses Ctrl-C.
func TestGetEndsWithItsContext(t *testing.T) {
	g := newGetter(t)
	ctx, cancel := context.WithCancel(t.Context())
	g.failContent(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			io.WriteString(w, "the ")
			http.NewResponseController(w).Flush()
			cancel()
			<-req.Context().Done()
		})
	})
	file := filepath.Join(t.TempDir(), "model.bin")
	t.Setenv("OLLAMA_KEY", strings.Repeat("00", 32))
	a := &app{stdin: strings.NewReader(""), stdout: &g.stdout, stderr: &g.stderr, terminal: terminal.New(&g.stderr)}
	if code := a.execute(ctx, []string{"get", "-o", file, g.blob}); code != exitFailed {
		t.Errorf("exit code %d: %s", code, &g.stderr)
	}
	if code := g.run("--continue", "-o", file, g.blob); code != exitDone {
		t.Errorf("exit code %d: %s", code, &g.stderr)
	}
}

func wantFolder(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("the folder has other files (-want +got):\n%s", diff)
	}
}
