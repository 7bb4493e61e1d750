package doctor

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/printable"
)

// realm applies the realm policy to a challenge from the URL from.
func (c serverCheck) realm(ch challenge.Challenge, from *url.URL) Finding {
	s := Subject{Check: "realm"}
	policy, realm := c.m.Config.Policy(), ch.Get("realm")
	origin, err := challenge.OriginOf(from)
	if err == nil {
		_, err = policy.CheckRealm(origin, realm)
	}
	if err == nil {
		return s.found(OK, printable.Quote(realm)+" may be answered", "")
	}
	return s.found(Problem, fmt.Sprintf("%s: %v", printable.Quote(realm), err), allowRealm(policy, origin, realm))
}

// allowRealm returns the lines that make the configuration allow the realm. If no
// lines do, the server is at fault.
func allowRealm(policy challenge.Policy, registry challenge.Origin, realm string) string {
	const serverAtFault = "tell the operator of the server: no configuration allows such a realm"
	u, err := url.Parse(realm)
	if err != nil {
		return serverAtFault
	}
	origin, err := challenge.OriginOf(u)
	if err != nil || u.Host != printable.Text(u.Host) {
		return serverAtFault
	}
	for _, add := range []struct{ realm, insecure bool }{{true, false}, {false, true}, {true, true}} {
		changed := policy
		trust := origin.String() + " to get signatures of your key"
		lines := fmt.Sprintf("[registry.%q]", registry.URL().Host)
		if add.realm {
			changed.Pairs = append(slices.Clone(policy.Pairs), challenge.RealmPair{Registry: registry, Realm: origin})
			lines += fmt.Sprintf("\nrealms = [%q]", origin)
		}
		if add.insecure {
			changed.Insecure = append(slices.Clone(policy.Insecure), registry)
			trust += " over a network where others may listen"
			lines += "\ninsecure = true"
		}
		if _, err := changed.CheckRealm(registry, realm); err == nil {
			return fmt.Sprintf("if you trust %s, add to the configuration:\n%s", trust, lines)
		}
	}
	return serverAtFault
}
