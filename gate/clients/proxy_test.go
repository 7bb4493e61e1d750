package clients

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

// TestProxy lets clients use a registry through "countersign proxy", with keys in
// gnome-keyring.
func TestProxy(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants, Blobs: "*"}), newMachine(t)
	m.enrol(g)
	all := m.startProxy(g, "--allow", "push,delete")
	readOnly := m.startProxy(g)
	bob := m.as("bob").startProxy(g, "--allow", "push,delete")
	carol := m.as("carol").startProxy(g, "--allow", "push,delete")
	for _, c := range programs {
		t.Run(c.name, func(t *testing.T) {
			m, image := m.with(t), "/users/alice/"+c.name+":v1"
			c.prepare(m)
			c.wantAllowed(m, all.host+image)
			if c.catalog != "" {
				if out := m.want("", c.on(c.catalog, all.host+image)...); !strings.Contains(out, "users/alice/"+c.name) {
					t.Errorf("the catalog: %s", out)
				}
			}
			c.wantReadOnly(m, readOnly.host+image, "the proxy was started without --allow push", "the proxy was started without --allow delete")
			c.wantReadOnly(m, bob.host+image, "bob has no grant for repository:users/alice/"+c.name, "bob has no grant for repository:users/alice/"+c.name+":delete")
			c.wantDeleted(m, all.host+image)

			// Some clients begin with a request whose error they do not show.
			for _, command := range []string{c.pull, c.push} {
				before := len(carol.log.String())
				shown := ""
				if c.name == "crane" || c.name == "oras" {
					shown = "not enrolled"
				}
				m.wantFailure(shown, c.on(command, carol.host+image)...)
				if log := carol.log.String()[before:]; !strings.Contains(log, "msg=failed") || !strings.Contains(log, "not enrolled") {
					t.Errorf("the log of the proxy does not tell the reason: %s", log)
				}
			}
		})
	}
}

// TestProxiesSideBySide runs two proxies for two registries with two keys at once. Each
// uses its own key at its own registry.
func TestProxiesSideBySide(t *testing.T) {
	m := newMachine(t)
	if err := crane.Save(image(t, 10_000, 2), "local:v1", filepath.Join(m.home, "app.tar")); err != nil {
		t.Fatal(err)
	}
	var all []*exec.Cmd
	gates, proxies := map[string]*gatetest.Gate{}, map[string]runningProxy{}
	for _, name := range []string{"alice", "bob"} {
		g := startGate(t, gatetest.Options{}) // each name has the repositories below users/NAME
		g.Write("authorized_keys", m.keys[name])
		g.Reload()
		gates[name], proxies[name] = g, m.as(name).startProxy(g, "--allow", "push")
		for i := range 5 {
			cmd := m.command("crane", "push", "app.tar", fmt.Sprintf("%s/users/%s/app:v%d", proxies[name].host, name, i))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, cmd)
		}
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%q: %v", cmd.Args, err)
		}
	}
	for name, g := range gates {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.keys[name]))
		if err != nil {
			t.Fatal(err)
		}
		fingerprint := ssh.FingerprintSHA256(key)
		for _, d := range g.Decisions() {
			if d.Key != fingerprint && d.Key != "" {
				t.Errorf("the registry of %s got a request with the key %s", name, d.Key)
			}
		}
		log := proxies[name].log.String()
		if n := strings.Count(log, "msg=signed"); n == 0 || n != strings.Count(log, "key="+fingerprint) {
			t.Errorf("the proxy of %s used another key: %s", name, log)
		}
	}
}
