package clients

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

// TestLockedKeyring wants clients of the helper and the log of the proxy to tell that
// gnome-keyring is locked.
func TestLockedKeyring(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants}), newMachine(t)
	m.enrol(g)
	host := strings.TrimPrefix(g.URL, "http://")
	m.write("config.toml", fmt.Sprintf("[registry.%q]\nhelper = [\"pull\"]\n", host))
	m.write(".docker/config.json", fmt.Sprintf(`{"credHelpers": {%q: "countersign"}}`, host))
	m = m.with(t, "COUNTERSIGN_CONFIG="+m.home+"/config.toml")
	m.lock()
	p := m.startProxy(g)
	for _, c := range programs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // some clients repeat a request after a while
			m := m.with(t)
			const reason = "key is locked"
			m.wantFailure(reason, c.on(c.pull, host+"/users/alice/a:v1")...)
			m.wantFailure("", c.on(c.pull, p.host+"/users/alice/a:v1")...)
			if !strings.Contains(p.log.String(), reason) {
				t.Errorf("the log of the proxy does not tell that the %s: %s", reason, p.log)
			}
		})
	}
}
