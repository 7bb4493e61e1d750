package clients

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ollama/ollama/manifest"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/internal/ollamapull"
)

// ownGrants give everyone the models that Ollama names NAME/MODEL.
const ownGrants = `
[[grant]]
names = ["*"]
repositories = ["${name}/*"]
actions = ["pull", "push"]
`

// An ollamaUser has a home folder with a key where Ollama has its own, and models.
type ollamaUser struct {
	name, home, models string
	line               string // of authorized_keys
}

func newOllamaUser(t *testing.T, name string) *ollamaUser {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	u := &ollamaUser{name: name, home: t.TempDir(), models: t.TempDir()}
	u.line = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + name + "\n"
	writeFile(t, pem.EncodeToMemory(block), u.home, ".ollama", "id_ed25519")
	return u
}

// withoutModels returns u with an empty folder for models.
func (u *ollamaUser) withoutModels(t *testing.T) *ollamaUser {
	t.Helper()
	other := *u
	other.models = t.TempDir()
	return &other
}

// enrol makes the keys of users those that the gate knows.
func enrol(g *gatetest.Gate, users ...*ollamaUser) {
	lines := ""
	for _, u := range users {
		lines += u.line
	}
	g.Write(setup.AuthorizedFile, lines)
	g.Reload()
}

func writeFile(t *testing.T, data []byte, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// makeModel makes a model with layers of a media type. The name has the form
// http://HOST/NAMESPACE/MODEL.
func (u *ollamaUser) makeModel(t *testing.T, name, mediaType string, layers ...string) {
	t.Helper()
	blob := func(mediaType, content string) manifest.Layer {
		digest := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
		writeFile(t, []byte(content), u.models, "blobs", "sha256-"+digest)
		return manifest.Layer{MediaType: mediaType, Digest: "sha256:" + digest, Size: int64(len(content)), Name: digest[:8]}
	}
	m := manifest.Manifest{
		SchemaVersion: 2,
		MediaType:     "application/vnd.docker.distribution.manifest.v2+json",
		Config:        blob("application/vnd.docker.container.image.v1+json", "{}"),
	}
	for _, content := range layers {
		m.Layers = append(m.Layers, blob(mediaType, content))
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	host, model, _ := strings.Cut(strings.TrimPrefix(name, "http://"), "/")
	writeFile(t, data, u.models, "manifests", host, filepath.FromSlash(model), "latest")
}

// blobs returns the content of the blobs by name.
func (u *ollamaUser) blobs(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(u.models, "blobs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(name)] = string(data)
	}
	return all
}

// The media types of layers that Ollama moves with separate code.
var ollamaLayers = map[string]string{
	"layers":  "application/vnd.ollama.image.model",
	"tensors": manifest.MediaTypeImageTensor,
}

// TestOllamaPullsAndPushes runs Ollama's own PullModel and PushModel, which sign with the
// key in the home folder.
func TestOllamaPullsAndPushes(t *testing.T) {
	program := ollamapull.Build(t)
	for title, mediaType := range ollamaLayers {
		t.Run(title, func(t *testing.T) {
			t.Parallel() // Ollama waits for a second after each layer
			g := startGate(t, gatetest.Options{Grants: ownGrants, Blobs: "*"})
			alice, bob, stranger := newOllamaUser(t, "alice"), newOllamaUser(t, "bob"), newOllamaUser(t, "stranger")
			enrol(g, alice, bob)
			mine, others := g.URL+"/alice/model", g.URL+"/bob/model"
			for _, u := range []*ollamaUser{alice, bob, stranger} {
				u.makeModel(t, mine, mediaType, "weights", "template")
			}
			alice.makeModel(t, others, mediaType, "weights", "template")
			run := func(u *ollamaUser, command, model string) error {
				return program.Run(t.Context(), u.home, u.models, command, model)
			}

			if err := run(alice, "push", mine); err != nil {
				t.Fatal(err)
			}
			back := alice.withoutModels(t)
			if err := run(back, "pull", mine); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(alice.blobs(t), back.blobs(t)); diff != "" {
				t.Errorf("the blobs changed on the way (-pushed +pulled):\n%s", diff)
			}

			forwarded := len(g.Forwarded())
			for _, c := range []struct {
				user                   *ollamaUser
				command, model, reason string
			}{
				{alice, "push", others, "alice has no grant for repository:bob/model:pull"},
				{bob, "push", mine, "bob has no grant for repository:alice/model:pull"},
				{bob.withoutModels(t), "pull", mine, "bob has no grant for repository:alice/model:pull"},
				{stranger, "push", mine, "the key is not enrolled"},
				{stranger.withoutModels(t), "pull", mine, "the key is not enrolled"},
			} {
				if err := run(c.user, c.command, c.model); err == nil || !strings.Contains(err.Error(), c.reason) {
					t.Errorf("%s: %v, want %q", c.user.name, err, c.reason)
				}
			}
			if n := len(g.Forwarded()) - forwarded; n != 0 {
				t.Errorf("%d refused requests reached the registry", n)
			}
		})
	}
}

// TestRule10_RemovedKeyInTheMiddleOfAPullOfOllama removes the key while the registry sends
// the first layer. Ollama tries again for a minute, so the test ends the pull.
func TestRule10_RemovedKeyInTheMiddleOfAPullOfOllama(t *testing.T) {
	program := ollamapull.Build(t)
	hold := &hold{}
	g := startGate(t, gatetest.Options{Grants: ownGrants, Blobs: "*"}, hold.before)
	alice := newOllamaUser(t, "alice")
	enrol(g, alice)
	model := g.URL + "/alice/model"
	alice.makeModel(t, model, ollamaLayers["layers"], strings.Repeat("weights", 1000), "template")
	if err := program.Run(t.Context(), alice.home, alice.models, "push", model); err != nil {
		t.Fatal(err)
	}
	half, goOn := hold.next()
	t.Cleanup(goOn)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- program.Run(ctx, alice.home, t.TempDir(), "pull", model) }()
	<-half
	enrol(g)
	if !slices.ContainsFunc(g.Decisions(), func(d audit.Decision) bool {
		return strings.HasPrefix(d.Reason, "the request was ended: the key is not enrolled")
	}) {
		t.Error("the gate did not end the request")
	}
	err := program.Run(t.Context(), alice.home, t.TempDir(), "pull", model)
	if err == nil || !strings.Contains(err.Error(), "the key is not enrolled") {
		t.Errorf("the next pull: %v", err)
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("the pull of the removed key succeeded")
	}
}
