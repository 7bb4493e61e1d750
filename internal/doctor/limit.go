package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// A limitCheck looks for references that open a limited key and that its limit does not
// name: through them the key signs for every purpose.
type limitCheck struct {
	m     *Machine
	limit config.Limit
	keys  signer.Backend
}

// limitChecks returns a check for each limit that names a reference. A limit that names a
// fingerprint holds for all references.
func (m *Machine) limitChecks(keys signer.Backend) []Check {
	var checks []Check
	for _, l := range m.Config.Limits() {
		if !strings.HasPrefix(l.Key, "SHA256:") {
			checks = append(checks, limitCheck{m, l, keys})
		}
	}
	return checks
}

func (c limitCheck) Subject() Subject { return Subject{"limit", c.limit.Key} }

func (c limitCheck) Run(ctx context.Context) []Finding {
	limited, err := c.keys.Open(ctx, c.limit.Key)
	if err != nil {
		return nil // the check of the key tells it, if the key is used
	}
	pub := limited.PublicKey()
	refs := append(c.m.Config.References(c.m.Query.Getenv), c.m.Query.Flag)
	slices.Sort(refs)
	var found []Finding
	for _, ref := range slices.Compact(refs) {
		if _, ok := c.m.Config.Purposes(ref, pub); ok {
			continue // by this limit or by another one
		}
		other, err := c.keys.Open(ctx, ref)
		if err != nil || !signer.SameKey(other.PublicKey(), pub) {
			continue
		}
		found = append(found, c.Subject().found(Warning, fmt.Sprintf("%s opens the same key, and the limit does not hold for it", ref),
			fmt.Sprintf("name the key itself: write [limit.%q] in place of [limit.%q]", ssh.FingerprintSHA256(pub), c.limit.Key)))
	}
	return found
}
