package clients

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

// TestHelper lets clients log in to a gate with secrets of docker-credential-countersign,
// signed by keys in gnome-keyring.
func TestHelper(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants, Blobs: "*"}), newMachine(t)
	m.enrol(g)
	host := strings.TrimPrefix(g.URL, "http://")
	m.write("config.toml", fmt.Sprintf("[registry.%q]\nhelper = [\"pull\", \"push\", \"delete\"]\n", host))
	m.write("pull.toml", fmt.Sprintf("[registry.%q]\nhelper = [\"pull\"]\n", host))
	m.write(".docker/config.json", fmt.Sprintf(`{"credHelpers": {%q: "countersign"}}`, host))
	m = m.with(t, "COUNTERSIGN_CONFIG="+m.home+"/config.toml")
	for _, c := range programs {
		t.Run(c.name, func(t *testing.T) {
			m, image := m.with(t), host+"/users/alice/"+c.name+":v1"
			c.prepare(m)
			c.wantAllowed(m, image)
			denied := "no grant for repository:users/alice/" + c.name
			const less = "its credential helper allows less"
			c.wantReadOnly(m.with(t, "COUNTERSIGN_CONFIG="+m.home+"/pull.toml"), image, less, less)
			c.wantReadOnly(m.as("bob"), image, denied, denied)
			m.as("carol").wantFailure("not enrolled", c.on(c.pull, image)...)

			public := host + "/public/" + c.name + ":v1"
			m.want("", c.on(c.push, public)...)
			anonymous := m.with(t, "HOME="+t.TempDir())
			c.wantReadOnly(anonymous, public, "a key is needed", "a key is needed")
			anonymous.wantFailure("a key is needed", c.on(c.pull, image)...)

			c.wantDeleted(m, image)
		})
	}
}

// TestKeychain lets go-containerregistry find the helper as its users do, in DOCKER_CONFIG
// and PATH, and the client package of docker-credential-helpers too.
func TestKeychain(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants, Blobs: "*"}), newMachine(t)
	m.enrol(g)
	host := strings.TrimPrefix(g.URL, "http://")
	m.write("config.toml", fmt.Sprintf("[registry.%q]\nhelper = [\"pull\", \"push\", \"delete\"]\n", host))
	m.write("docker/config.json", fmt.Sprintf(`{"credHelpers": {%q: "countersign"}}`, host))
	for _, variable := range append(m.env, "COUNTERSIGN_CONFIG="+m.home+"/config.toml", "DOCKER_CONFIG="+m.home+"/docker") {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	keychain := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	img, ref := image(t, 1000, 1), reference(t, g, "users/alice/img")
	if err := remote.Write(ref, img, keychain); err != nil {
		t.Fatal(err)
	}
	got, err := remote.Image(ref, keychain)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, img, got)
	if tags, err := remote.List(ref.Repository, keychain); err != nil || len(tags) != 1 {
		t.Errorf("tags %v, %v", tags, err)
	}

	helper := client.NewShellProgramFunc("docker-credential-countersign")
	login, err := client.Get(helper, host)
	if err != nil || login.Username != "<token>" {
		t.Fatalf("%+v, %v", login, err)
	}
	secret := remote.WithAuth(authn.FromConfig(authn.AuthConfig{IdentityToken: login.Secret}))
	if err := pull(ref, secret); err != nil {
		t.Error(err)
	}
	if all, err := client.List(helper); err != nil || all[host] != "<token>" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := client.Get(helper, "ghcr.io"); !credentials.IsErrCredentialsNotFound(err) {
		t.Errorf("another host: %v", err)
	}
	if err := client.Store(helper, &credentials.Credentials{ServerURL: host, Username: "a", Secret: "b"}); err == nil {
		t.Error("a login was stored")
	}
	if err := client.Erase(helper, host); err == nil {
		t.Error("a login was erased")
	}

	t.Setenv("COUNTERSIGN_KEY", "keyring:bob")
	if err := remote.Write(ref, image(t, 1000, 1), keychain); status(err) != 403 || !strings.Contains(err.Error(), "bob has no grant") {
		t.Errorf("push of bob: %v", err)
	}
	t.Setenv("COUNTERSIGN_KEY", "keyring:alice")
	if err := remote.Delete(ref, keychain); err != nil {
		t.Error(err)
	}
	if err := pull(ref, keychain); status(err) != 404 {
		t.Errorf("after the delete: %v", err)
	}
}
