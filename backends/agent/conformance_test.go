package agent_test

import (
	"crypto"
	"testing"

	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/internal/agenttest"
	"github.com/countersign/countersign/signer/signertest"
)

// A locked agent of OpenSSH lists no keys, so Store.Lock is nil: TestLocked has that.
func TestConformance(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		return signertest.Store{
			Backend:  &agent.Backend{Socket: agenttest.StartOpenSSH(t).Socket},
			BadNames: []string{"SHA256:short", "SHA256:lvHqjsc7RF6KQ+0LHFUUsGbEKpmyoe+tnzFL/y85XAoAAAA"},
		}
	})
}

// In process, so that the race detector sees both sides.
func TestConformanceInProcess(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		return signertest.Store{Backend: &agent.Backend{Socket: agenttest.Serve(t, sshagent.NewKeyring())}}
	})
}

// gpg-agent removes no keys. While many clients list its keys, it leaves out some of
// them now and then, so the suite does not import at once.
func TestConformanceGPG(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		b := &agent.Backend{Socket: agenttest.StartGPG(t)}
		return signertest.Store{
			Backend: b,
			Lacks:   []string{"Deleter", "Importer"},
			Put: func(t *testing.T, name string, key crypto.Signer) {
				if err := b.Import(t.Context(), name, key); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
