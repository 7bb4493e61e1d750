package challenge_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

const (
	echoRealm = "https://r.example/token"
	echoToken = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
)

// A gossip is a server, registry and token endpoint in one, that repeats what it was
// sent and what it issued.
type gossip struct {
	heard    []string // tokens and signatures
	honest   bool     // for now
	resource func(g *gossip, resp *http.Response) error
	tokens   func(g *gossip, resp *http.Response) error
}

// all returns everything that must not be repeated, in one text.
func (g *gossip) all() string { return strings.Join(g.heard, " ") }

func (g *gossip) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
	auth := req.Header.Get("Authorization")
	if auth != "" {
		g.heard = append(g.heard, auth)
	}
	if req.URL.Path == "/token" {
		if g.tokens != nil && !g.honest {
			return answer(g, resp, g.tokens)
		}
		g.heard = append(g.heard, echoToken)
		setBody(resp, `{"token":"`+echoToken+`"}`)
		return resp, nil
	}
	if auth == "" {
		askForToken(resp, echoRealm, "repository:a:pull")
		return resp, nil
	}
	if g.resource == nil || g.honest {
		return resp, nil
	}
	return answer(g, resp, g.resource)
}

func answer(g *gossip, resp *http.Response, edit func(*gossip, *http.Response) error) (*http.Response, error) {
	if err := edit(g, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

func setBody(resp *http.Response, body string) { resp.Body = io.NopCloser(strings.NewReader(body)) }

func askForToken(resp *http.Response, realm, scope string) {
	resp.StatusCode = http.StatusUnauthorized
	resp.Header.Set("WWW-Authenticate", "Bearer realm="+strconv.Quote(realm)+",service=s,scope="+strconv.Quote(scope))
}

// TestServersCannotPublishSecrets has a server repeat every token and signature in each
// text that reaches an error or a log.
func TestServersCannotPublishSecrets(t *testing.T) {
	refuse := func(status int) func(*gossip, *http.Response) error {
		return func(g *gossip, resp *http.Response) error {
			resp.StatusCode = status
			setBody(resp, `{"error":`+strconv.Quote("cannot take "+g.all())+`}`)
			return nil
		}
	}
	fail := func(g *gossip, _ *http.Response) error {
		return fmt.Errorf("malformed HTTP status code %q", g.all())
	}
	tests := []struct {
		name string
		gossip
	}{
		{"the token endpoint refuses", gossip{tokens: refuse(403)}},
		{"the token endpoint redirects", gossip{tokens: func(g *gossip, resp *http.Response) error {
			resp.Header.Set("Location", "https://\x7f/"+g.all())
			return refuse(302)(g, resp)
		}}},
		{"the token endpoint speaks no HTTP", gossip{tokens: fail}},
		{"the token endpoint answers without a token", gossip{tokens: func(g *gossip, resp *http.Response) error {
			setBody(resp, `{"token":"","expires_in":`+strconv.Quote(g.all())+`}`)
			return nil
		}}},
		{"the registry refuses the token", gossip{resource: func(g *gossip, resp *http.Response) error {
			askForToken(resp, echoRealm, "repository:a:pull")
			return refuse(401)(g, resp)
		}}},
		{"the registry forbids", gossip{resource: refuse(403)}},
		{"the registry breaks", gossip{resource: refuse(500)}},
		{"the registry speaks no HTTP", gossip{resource: fail}},
		{"the registry names another realm", gossip{resource: func(g *gossip, resp *http.Response) error {
			askForToken(resp, "https://evil.example/?token="+g.all(), g.all())
			return nil
		}}},
		{"the registry names another path", gossip{resource: func(g *gossip, resp *http.Response) error {
			askForToken(resp, echoRealm+"?last="+url.QueryEscape(g.all()), "repository:a:pull")
			g.tokens = refuse(403)
			return nil
		}}},
		{"the registry names another scope", gossip{resource: func(g *gossip, resp *http.Response) error {
			askForToken(resp, echoRealm, g.all())
			g.tokens = refuse(403)
			return nil
		}}},
		{"the registry sends a malformed challenge", gossip{resource: func(g *gossip, resp *http.Response) error {
			resp.StatusCode = http.StatusUnauthorized
			resp.Header.Set("WWW-Authenticate", `Bearer realm="`+g.all())
			return nil
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // tries are seconds apart
				tt.check(t)
			})
		})
	}
}

// check sends a request and looks for secrets in its error and in the log.
func (g *gossip) check(t *testing.T) {
	var log bytes.Buffer
	client := &http.Client{Transport: &challenge.Transport{Base: g, Client: &challenge.Client{
		HTTP:  &http.Client{Transport: g},
		Key:   challenge.StaticKey(newKey()),
		Trace: challenge.LogTrace(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}}}
	get := func(repository string) (text string) {
		resp, err := client.Get("https://r.example/v2/" + repository + "/manifests/latest")
		if err == nil {
			defer resp.Body.Close()
			return challenge.ServerText(resp)
		}
		var e *challenge.Error
		if errors.As(err, &e) {
			text = fmt.Sprintf("%v %+v %#v %s", *e, *e, *e, e.Err)
		}
		return text + fmt.Sprintf("%v %+v %#v %q", err, err, err, err)
	}
	text := get("a")
	g.honest = true
	get("b")
	g.honest = false
	text += get("b") + get("c") // with a token from memory, and with one that is expected to do
	if len(g.heard) == 0 || text == "" {
		t.Fatalf("heard %d secrets, text %q", len(g.heard), text)
	}
	for _, secret := range g.heard {
		for _, part := range append(strings.FieldsFunc(secret, func(r rune) bool { return strings.ContainsRune(" .:", r) }), secret) {
			if len(part) > 10 && strings.Contains(text, part) {
				t.Errorf("the error has %.12s...: %.400s", part, text)
			}
			if len(part) > 10 && strings.Contains(log.String(), part) {
				t.Errorf("the log has %.12s...", part)
			}
		}
	}
}

// TestServerTextAfterRequestSigner has the signature only in a copy of the request.
func TestServerTextAfterRequestSigner(t *testing.T) {
	v := visit(t, challengetest.Config{})
	for _, bearer := range []bool{false, true} {
		echo := roundTripper(func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 403, Header: http.Header{}, Request: req}
			setBody(resp, `{"error":`+strconv.Quote("refused: "+req.Header.Get("Authorization"))+`}`)
			return resp, nil
		})
		client := &http.Client{Transport: &challenge.RequestSigner{
			Key: v.client.Key, Origins: []challenge.Origin{parseOrigin(t, "r.example")}, Bearer: bearer, Base: echo,
		}}
		resp, err := client.Get("https://r.example/api/me")
		if err != nil {
			t.Fatal(err)
		}
		if got := challenge.ServerText(resp); strings.Contains(got, "AAAAC3") || !strings.HasPrefix(got, "refused: ") {
			t.Errorf("bearer=%v: %s", bearer, got)
		}
		if got := resp.Request.Header.Get("Authorization"); got != "" {
			t.Errorf("bearer=%v: resp.Request carries %.10s...", bearer, got)
		}
	}
}
