package clients

import (
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

func TestProxy(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants}), newMachine(t)
	m.enrol(g)
	if err := crane.Save(image(t, 10_000, 2), "app:v1", filepath.Join(m.home, "app.tar")); err != nil {
		t.Fatal(err)
	}
	host := m.startProxy(g, "--allow", "push,delete")
	m.want("", "crane", "push", "app.tar", host+"/users/alice/crane:v1")
	m.want("", "oras", "push", "--plain-http", host+"/users/alice/oras:v1", "app.tar")
	reader := m.as("bob").startProxy(g, "--allow", "push,delete")
	m.want("", "crane", "pull", reader+"/users/alice/crane:v1", "pulled.tar")
	m.wantFailure("grant", "crane", "push", "app.tar", reader+"/users/alice/crane:v2")
}
