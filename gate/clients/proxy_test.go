package clients

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

// TestProxy lets clients use a registry through "countersign proxy", with keys in
// gnome-keyring.
func TestProxy(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants}), newMachine(t)
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
				m.wantFailure("", c.on(command, carol.host+image)...)
				if log := carol.log.String()[before:]; !strings.Contains(log, "msg=failed") || !strings.Contains(log, "not enrolled") {
					t.Errorf("the log of the proxy does not tell the reason: %s", log)
				}
			}
		})
	}
}
