package main

import (
	"context"
	"errors"
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
		seen := fmt.Sprintf("%v: WWW-Authenticate is %q", err, resp.Header.Values("WWW-Authenticate"))
		return []finding{c.found(stateProblem, seen, "the server does not ask for a key in a way that is known here: is it the right one?")}
	}
	seen := fmt.Sprintf("a token for service %q and scope %q", ch.Get("service"), ch.Get("scope"))
	return []finding{c.found(stateOK, seen, ""), d.realm(ch, resp.Request.URL)}
}

// realm applies the policy that the key is under.
func (d *doctor) realm(ch challenge.Challenge, from *url.URL) finding {
	c := check{name: "realm"}
	client := d.config.Client(d.backends, d.query)
	err := client.CheckRealm(ch, from)
	if err == nil {
		return c.found(stateOK, fmt.Sprintf("%q may be answered", ch.Get("realm")), "")
	}
	if e, ok := errors.AsType[*challenge.Error](err); ok {
		err = e.Err // the rest of it is on the lines above
	}
	return c.found(stateProblem, fmt.Sprintf("%q: %v", ch.Get("realm"), err), remedy(client, ch, from))
}

// remedy finds what in the configuration would let the realm be answered. What
// nothing there would is the server's fault.
func remedy(client *challenge.Client, ch challenge.Challenge, from *url.URL) string {
	realm, err := url.Parse(ch.Get("realm"))
	if err != nil {
		realm = &url.URL{}
	}
	origin := realm.Scheme + "://" + realm.Host
	pair := challenge.RealmPair{Registry: from.Scheme + "://" + from.Host, Realm: origin}
	for _, add := range []struct{ realm, insecure bool }{{true, false}, {false, true}, {true, true}} {
		trusting := challenge.Client{Realms: client.Realms, Insecure: client.Insecure}
		trust := origin + " to get signatures of your key"
		lines := fmt.Sprintf("[registry.%q]", from.Host)
		if add.realm {
			trusting.Realms = append(slices.Clone(client.Realms), pair)
			lines += fmt.Sprintf("\nrealms = [%q]", origin)
		}
		if add.insecure {
			trusting.Insecure = append(slices.Clone(client.Insecure), from.Host)
			trust += " over a network where others may listen"
			lines += "\ninsecure = true"
		}
		if trusting.CheckRealm(ch, from) == nil {
			return fmt.Sprintf("if you trust %s, add to the configuration:\n%s", trust, lines)
		}
	}
	return "ask whoever runs the server: no configuration lets such a realm be answered"
}
