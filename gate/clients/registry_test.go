// Package clients tries the gate, the proxy and the credential helper with a real registry
// and with clients that others wrote.
package clients

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/demo/distribution"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

// startGate starts a gate before a real registry. It knows no keys yet. Requests reach the
// registry through the functions wrap.
func startGate(t *testing.T, o gatetest.Options, wrap ...func(http.Handler) http.Handler) *gatetest.Gate {
	t.Helper()
	var registry atomic.Pointer[http.Handler]
	o.Change = func(text string) string { // all clients of a test have one address
		return strings.NewReplacer("per_address = 50", "per_address = 5000", "per_key = 100", "per_key = 5000").Replace(text)
	}
	o.Registry = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*registry.Load()).ServeHTTP(w, r) })
	g := gatetest.Start(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	handler, end := distribution.New(ctx, g.Config.Sites[0])
	for _, w := range wrap {
		handler = w(handler)
	}
	registry.Store(&handler)
	t.Cleanup(func() { cancel(); end() })
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// start starts a gate before a real registry that knows the key of alice.
func start(t *testing.T, o gatetest.Options) (*gatetest.Gate, signer.Signer) {
	t.Helper()
	g, key := startGate(t, o), gatetest.NewKey(t)
	g.Enrol(map[string]signer.Signer{"alice": key})
	return g, key
}

const allGrants = `
[[grant]]
names = ["alice"]
repositories = ["users/alice/*"]
actions = ["pull", "push", "delete"]
[[grant]]
names = ["alice"]
repositories = ["public/*"]
actions = ["pull", "push"]
[[grant]]
names = ["alice"]
catalog = true
[[grant]]
names = ["bob"]
repositories = ["users/alice/*"]
actions = ["pull"]
[[grant]]
anonymous = true
repositories = ["public/*"]
actions = ["pull"]
`

// secret returns the option of a client that has a helper secret.
func secret(t *testing.T, g *gatetest.Gate, key signer.Signer, actions ...string) remote.Option {
	t.Helper()
	site := g.Config.Sites[0]
	text, err := challenge.HelperSecret{Origin: site.Origin, Service: site.Service(), Actions: actions, Expires: time.Now().Add(time.Hour)}.Sign(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return remote.WithAuth(authn.FromConfig(authn.AuthConfig{IdentityToken: text}))
}

func reference(t *testing.T, g *gatetest.Gate, repository string) name.Tag {
	t.Helper()
	ref, err := name.NewTag(strings.TrimPrefix(g.URL, "http://")+"/"+repository+":v1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func image(t *testing.T, size, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(size, layers)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// status returns the HTTP status of a client's error.
func status(err error) int {
	if e, ok := errors.AsType[*transport.Error](err); ok {
		return e.StatusCode
	}
	return 0
}

func TestGoContainerRegistry(t *testing.T) {
	for title, blobs := range map[string]string{"one host name": "", "two host names": "*"} {
		t.Run(title, func(t *testing.T) {
			g, key := start(t, gatetest.Options{Grants: allGrants, Blobs: blobs})
			all := secret(t, g, key, "pull", "push", "delete")
			img := image(t, 10_000, 3)
			for _, repository := range []string{"users/alice/img", "public/img"} {
				ref := reference(t, g, repository)
				if err := remote.Write(ref, img, all); err != nil {
					t.Fatal(err)
				}
				got, err := remote.Image(ref, all)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, img, got)
			}
			if list, err := remote.Catalog(t.Context(), reference(t, g, "x/y").Registry, remote.WithAuth(bearer(t, g, key, "registry:catalog:*"))); err != nil || len(list) != 2 {
				t.Errorf("the catalog: %v, %v", list, err)
			}
			refused(t, g, key, img)
			if got, err := remote.Image(reference(t, g, "public/img")); err != nil {
				t.Errorf("anonymous pull: %v", err)
			} else {
				compare(t, img, got)
			}
			digest, err := img.Digest()
			if err != nil {
				t.Fatal(err)
			}
			at := reference(t, g, "users/alice/img")
			if err := remote.Delete(at.Digest(digest.String()), all); err != nil {
				t.Fatalf("delete: %v", err)
			}
			if _, err := remote.Image(at, all); status(err) != 404 {
				t.Errorf("after the delete: %v", err)
			}
		})
	}
}

// refused tries what alice, her weaker secret and anonymous clients may not do.
func refused(t *testing.T, g *gatetest.Gate, key signer.Signer, img v1.Image) {
	t.Helper()
	all, readOnly := secret(t, g, key, "pull", "push", "delete"), secret(t, g, key, "pull")
	stranger := secret(t, g, gatetest.NewKey(t), "pull", "push", "delete")
	mine, others, public := reference(t, g, "users/alice/img"), reference(t, g, "users/bob/img"), reference(t, g, "public/img")
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"push to others":        remote.Write(others, img, all),
		"push read-only":        remote.Write(mine, image(t, 10, 1), readOnly),
		"delete what is public": remote.Delete(public.Digest(digest.String()), all),
		"delete read-only":      remote.Delete(mine.Digest(digest.String()), readOnly),
		"pull by a stranger":    pull(mine, stranger),
		"anonymous pull":        pull(mine),
		"anonymous push":        remote.Write(public, image(t, 10, 1)),
	} {
		if s := status(err); s != 401 && s != 403 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func pull(ref name.Reference, options ...remote.Option) error {
	_, err := remote.Image(ref, options...)
	return err
}

func bearer(t *testing.T, g *gatetest.Gate, key signer.Signer, scope string) authn.Authenticator {
	t.Helper()
	return authn.FromConfig(authn.AuthConfig{RegistryToken: token(t, g, key, scope)})
}

// token gets a token with a client of this project.
func token(t *testing.T, g *gatetest.Gate, key signer.Signer, scope string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.URL+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	site := g.Config.Sites[0]
	asked := challenge.Challenge{Scheme: "bearer", Params: []challenge.Param{
		{Name: "realm", Value: g.Origin + "/token"}, {Name: "service", Value: site.Service()}, {Name: "scope", Value: scope},
	}}
	got, err := g.Client(key).Token(t.Context(), asked, req)
	if err != nil {
		t.Fatal(err)
	}
	return got.Value()
}

func compare(t *testing.T, want, got v1.Image) {
	t.Helper()
	wants, err := want.Layers()
	gots, err2 := got.Layers()
	if err := errors.Join(err, err2); err != nil || len(wants) != len(gots) {
		t.Fatalf("%d and %d layers, %v", len(wants), len(gots), err)
	}
	for i := range wants {
		if a, b := content(t, wants[i]), content(t, gots[i]); !bytes.Equal(a, b) {
			t.Errorf("layer %d has other content", i)
		}
	}
}

func content(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	r, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRule14_RegistryTrustsNewLeaves(t *testing.T) {
	g, key := start(t, gatetest.Options{Grants: allGrants})
	all := secret(t, g, key, "pull", "push")
	for range 3 {
		if _, err := setup.Rotate(t.Context(), g.Config.Sites[0], backends.New().Mux(), time.Now()); err != nil {
			t.Fatal(err)
		}
		g.Reload()
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(reference(t, g, "users/alice/img"), image(t, 100, 1), all); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRule15_MountFromAForeignRepository(t *testing.T) {
	g, key := start(t, gatetest.Options{Grants: allGrants})
	raw := token(t, g, key, "repository:users/alice/img:pull,push")
	const missing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	req, err := http.NewRequest(http.MethodPost, g.URL+"/v2/users/alice/img/blobs/uploads/?mount="+missing+"&from=users/bob/img", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+raw)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if location := res.Header.Get("Location"); res.StatusCode != 202 || !strings.HasPrefix(location, g.URL+"/v2/users/alice/img/blobs/uploads/") {
		t.Errorf("%s, %s", res.Status, location)
	}
}

func TestRule10_RemovedKeyInTheMiddleOfAPull(t *testing.T) {
	g, key := start(t, gatetest.Options{Grants: allGrants, Blobs: "*"})
	all := secret(t, g, key, "pull", "push")
	ref := reference(t, g, "users/alice/img")
	if err := remote.Write(ref, image(t, 1000, 3), all); err != nil {
		t.Fatal(err)
	}
	got, err := remote.Image(ref, all)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := got.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content(t, layers[0])
	g.Enrol(nil)
	if r, err := layers[1].Compressed(); err == nil {
		r.Close()
		t.Error("a layer after the key was removed")
	} else if s := status(err); s != 401 && s != 403 {
		t.Error(err)
	}
}

// TestCountersignGet runs the command as a user does.
func TestCountersignGet(t *testing.T) {
	g, _ := start(t, gatetest.Options{Grants: allGrants})
	if err := build(); err != nil {
		t.Fatal(err)
	}
	dir, program := t.TempDir(), filepath.Join(bin, "countersign")
	run := func(args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "COUNTERSIGN_CONFIG="+os.DevNull, "COUNTERSIGN_KEY=file:"+filepath.Join(dir, "key"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("key", "generate", "file:"+filepath.Join(dir, "key")); err != nil {
		t.Fatal(out)
	}
	key, err := backends.New().Open(t.Context(), "file:"+filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	url := g.URL + "/v2/users/alice/img/manifests/v1"
	if out, err := run("get", url); err == nil || !strings.Contains(out, "not enrolled") {
		t.Errorf("a key that is not enrolled: %v: %s", err, out)
	}
	g.Enrol(map[string]signer.Signer{"alice": key})
	if err := remote.Write(reference(t, g, "users/alice/img"), image(t, 100, 1), secret(t, g, key, "pull", "push")); err != nil {
		t.Fatal(err)
	}
	if out, err := run("get", url); err != nil || !strings.Contains(out, `"layers"`) {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("get", strings.Replace(url, "alice", "bob", 1)); err == nil || !strings.Contains(out, "no grant") {
		t.Errorf("without a grant: %v: %s", err, out)
	}
}
