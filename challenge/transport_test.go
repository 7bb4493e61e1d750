package challenge_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

func Test401WithoutAChallenge(t *testing.T) {
	v := visit(t, challengetest.Config{})
	for _, header := range [][]string{nil, {"WWW-Authenticate", `Basic realm="x"`}, {"WWW-Authenticate", "Bearer realm="}} {
		v.Fail(challengetest.Challenges, 1, challengetest.Reply(401, "who are you?", header...))
		body, err := v.get(t.Context(), manifest)
		if body != "who are you?" {
			t.Errorf("%q: body %q, %v; want the 401 as it came", header, body, err)
		}
	}
	v.Fail(challengetest.Challenges, 1, challengetest.Reply(401, "", "WWW-Authenticate", `Bearer realm="x`))
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, challenge.ErrReply) {
		t.Errorf("a malformed challenge: %v, want ErrReply", err)
	}
	if n := v.signatures.Load(); n != 0 {
		t.Errorf("%d signatures, want none", n)
	}
}

func TestSignOfTheCallerIsKept(t *testing.T) {
	v := visit(t, challengetest.Config{})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL+manifest, nil)
	req.Header.Set("Authorization", "Bearer mine")
	resp, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := v.Last(challengetest.Resources).Header.Get("Authorization"); got != "Bearer mine" || resp.StatusCode != 401 {
		t.Errorf("sent %q, got %s", got, resp.Status)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestHeaderOfAReplyIsLimited(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.client.HTTP = nil // the default, and its limit
	v.mustGet(t, manifest)
	v.RevokeAll()
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(200, `{"token":"t"}`, "X-Long", strings.Repeat("x", 80<<10)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := v.get(ctx, manifest); err == nil || !strings.Contains(err.Error(), "header") {
		t.Errorf("80 KiB of header: %v", err)
	}
}

func TestTransportWithoutAClient(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("{}")}
	_, err := (&http.Client{Transport: &challenge.Transport{}}).Post("http://127.0.0.1:1/", "text/plain", body)
	if err == nil || !strings.Contains(err.Error(), "Client") || !strings.Contains(err.Error(), "nil") {
		t.Errorf("error %v, want one that names the field Client", err)
	}
	if body.closed == 0 {
		t.Error("the body is not closed")
	}
}

type idleCounter struct {
	http.RoundTripper
	closed int
}

func (c *idleCounter) CloseIdleConnections() { c.closed++ }

func TestCloseIdleConnections(t *testing.T) {
	base := &idleCounter{}
	for _, transport := range []http.RoundTripper{
		&challenge.Transport{Base: base}, &challenge.RequestSigner{Base: base},
		&challenge.Transport{Base: &challenge.RequestSigner{Base: base}},
	} {
		before := base.closed
		(&http.Client{Transport: transport}).CloseIdleConnections()
		if base.closed != before+1 {
			t.Errorf("%T: the base was told %d times, want once", transport, base.closed-before)
		}
	}
	(&http.Client{Transport: &challenge.Transport{Base: roundTripper(nil)}}).CloseIdleConnections() // a base without the method
}

func TestUserAgent(t *testing.T) {
	program := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	for _, tt := range []struct{ client, request, want string }{
		{"", "", program},
		{"", "mirror/2.1", "mirror/2.1"},
		{"tool/1.0 (+https://tool.example)", "", "tool/1.0 (+https://tool.example)"},
		{"tool/1.0", "mirror/2.1", "tool/1.0"},
	} {
		v := visit(t, challengetest.Config{})
		v.client.UserAgent = tt.client
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL+manifest, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.request != "" {
			req.Header.Set("User-Agent", tt.request)
		}
		resp, err := v.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := v.Last(challengetest.Tokens).Header.Get("User-Agent"); got != tt.want {
			t.Errorf("client %q, request %q: token request by %q, want %q", tt.client, tt.request, got, tt.want)
		}
	}
}
