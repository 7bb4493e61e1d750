package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/countersign/countersign/challenge"
)

const (
	closeEnough = 5 * time.Second // Date has whole seconds, and travels
	tooFar      = 5 * time.Minute // Ollama's registry refuses signatures that are older
)

func (d *doctor) serverChecks() []check {
	if d.target == "" {
		return nil
	}
	c := check{name: "server"}
	c.run = func(ctx context.Context) []finding { return d.askServer(ctx, c) }
	return []check{c}
}

func (d *doctor) askServer(ctx context.Context, c check) []finding {
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	before := time.Now()
	resp, err := getURL(ctx, client, resourceAt(d.query.Registry))
	if err != nil {
		return []finding{c.failed(stateProblem, err)}
	}
	defer resp.Body.Close()
	found := []finding{c.found(stateOK, answered(resp), ""), clock(resp.Header, before)}
	if to, err := resp.Location(); err == nil {
		return append(found, check{name: "challenge"}.found(stateWarning, "none: it redirects", "ask for "+to.Redacted()))
	}
	return append(found, d.askedFor(resp)...)
}

// resourceAt puts the base of the OCI distribution API, which is to challenge
// whoever has no token, where only a host is given.
func resourceAt(u *url.URL) string {
	if u.Path == "" || u.Path == "/" {
		return u.JoinPath("/v2/").String()
	}
	return u.String()
}

// clock compares ours with the server's, at the middle of the request.
func clock(header http.Header, before time.Time) finding {
	c := check{name: "clock"}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return c.found(stateNote, "the server does not tell the time", "")
	}
	ahead := before.Add(time.Since(before) / 2).Sub(date).Round(time.Second)
	off := fmt.Sprintf("this machine is %v ahead of the server", ahead)
	if ahead < 0 {
		off = fmt.Sprintf("this machine is %v behind the server", -ahead)
	}
	const do = "set the clock, by NTP if you can: a signature tells when it was made"
	switch {
	case ahead.Abs() <= closeEnough:
		return c.found(stateOK, "as the server's", "")
	case ahead.Abs() <= tooFar:
		return c.found(stateWarning, off, do)
	}
	return c.found(stateProblem, off, do)
}

// askedFor looks at the challenge, and whether it may be answered.
func (d *doctor) askedFor(resp *http.Response) []finding {
	c := check{name: "challenge"}
	if resp.StatusCode != http.StatusUnauthorized {
		return []finding{c.found(stateNote, "none: it needs no key, or it is not the URL of a resource", "")}
	}
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		seen := fmt.Sprintf("%v: %s", err, authenticateField(resp))
		return []finding{c.found(stateProblem, seen, "the server does not ask for a key in a way that is known here: is it the right one?")}
	}
	seen := fmt.Sprintf("a token for service %s and scope %s", quote(ch.Get("service")), quote(ch.Get("scope")))
	return []finding{c.found(stateOK, seen, ""), d.realm(ch, resp.Request.URL)}
}

// realm applies the policy that the key is under.
func (d *doctor) realm(ch challenge.Challenge, from *url.URL) finding {
	c := check{name: "realm"}
	policy, realm := d.config.Policy(), ch.Get("realm")
	origin, err := challenge.OriginOf(from)
	if err == nil {
		_, err = policy.CheckRealm(origin, realm)
	}
	if err == nil {
		return c.found(stateOK, quote(realm)+" may be answered", "")
	}
	return c.found(stateProblem, fmt.Sprintf("%s: %v", quote(realm), err), remedy(policy, origin, realm))
}

// remedy returns the lines that make the configuration allow the realm. If no
// lines do, the server is at fault.
func remedy(policy challenge.Policy, registry challenge.Origin, realm string) string {
	const serverAtFault = "tell the operator of the server: no configuration allows such a realm"
	u, err := url.Parse(realm)
	if err != nil {
		return serverAtFault
	}
	origin, err := challenge.OriginOf(u)
	if err != nil {
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
