package clients

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

// TestHelper lets clients log in to a gate with secrets of docker-credential-countersign,
// signed by keys in gnome-keyring.
func TestHelper(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants}), newMachine(t)
	m.enrol(g)
	host := strings.TrimPrefix(g.URL, "http://")
	m.write("config.toml", fmt.Sprintf("[registry.%q]\nhelper = [\"pull\", \"push\", \"delete\"]\n", host))
	m.write("pull.toml", fmt.Sprintf("[registry.%q]\nhelper = [\"pull\"]\n", host))
	m.write(".docker/config.json", fmt.Sprintf(`{"credHelpers": {%q: "countersign"}}`, host))
	m = m.with(t, "COUNTERSIGN_CONFIG="+m.home+"/config.toml")
	for _, c := range clients {
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
