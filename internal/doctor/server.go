package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/httpclient"
	"github.com/countersign/countersign/internal/printable"
)

const (
	closeEnough = 5 * time.Second // the field Date has whole seconds
	tooFar      = 5 * time.Minute // Ollama's registry refuses older signatures
)

// A serverCheck sends one request without a signature, and looks at the answer, the
// clock of the server, its challenge and the realm in that.
type serverCheck struct{ m *Machine }

func (c serverCheck) Subject() Subject { return Subject{Check: "server"} }

func (c serverCheck) Run(ctx context.Context) []Finding {
	s := c.Subject()
	req, err := httpclient.NewRequest(ctx, http.MethodGet, resource(c.m.Server))
	if err != nil {
		return []Finding{s.failed(Problem, err)}
	}
	before := time.Now()
	resp, err := httpclient.New(c.m.Config.Transport(httpclient.NewTransport())).Do(req)
	if err != nil {
		return []Finding{s.failed(Problem, err)}
	}
	defer resp.Body.Close()
	found := []Finding{s.found(OK, httpclient.Answer(resp), ""), compareClocks(resp.Header, before)}
	if to, err := resp.Location(); err == nil {
		redirect := Subject{Check: "challenge"}.found(Warning, "none: the server redirects", "ask for "+printable.Text(to.Redacted()))
		return append(found, redirect)
	}
	return append(found, c.challenge(resp)...)
}

// resource returns the URL to ask for. For a URL without a path that is the base of
// the OCI distribution API, where a registry challenges requests without a token.
func resource(u *url.URL) string {
	if u.Path == "" || u.Path == "/" {
		return u.JoinPath("/v2/").String()
	}
	return u.String()
}

// compareClocks compares the clock of this machine, at the middle of the request,
// with that of the server.
func compareClocks(header http.Header, before time.Time) Finding {
	s := Subject{Check: "clock"}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return s.found(Note, "the server does not tell the time", "")
	}
	ahead := before.Add(time.Since(before) / 2).Sub(date).Round(time.Second)
	difference := fmt.Sprintf("this machine is %v ahead of the server", ahead)
	if ahead < 0 {
		difference = fmt.Sprintf("this machine is %v behind the server", -ahead)
	}
	const do = "set the clock, by NTP if you can: a signature contains its time"
	switch {
	case ahead.Abs() <= closeEnough:
		return s.found(OK, "as the server's", "")
	case ahead.Abs() <= tooFar:
		return s.found(Warning, difference, do)
	}
	return s.found(Problem, difference, do)
}

// challenge looks at the challenge in resp, and at its realm.
func (c serverCheck) challenge(resp *http.Response) []Finding {
	s := Subject{Check: "challenge"}
	if resp.StatusCode != http.StatusUnauthorized {
		return []Finding{s.found(Note, "none: it needs no key, or it is not the URL of a resource", "")}
	}
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		return []Finding{s.found(Problem, fmt.Sprintf("%v: %s", err, httpclient.Authenticate(resp)),
			"check the URL: the server does not ask for a key in a way that is known here")}
	}
	seen := fmt.Sprintf("a token for service %s and scope %s", printable.Quote(ch.Get("service")), printable.Quote(ch.Get("scope")))
	return []Finding{s.found(OK, seen, ""), c.realm(ch, resp.Request.URL)}
}
