package challengetest_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer/signertest"
)

// The client of these tests does not use package challenge, so that the registry and
// its client do not share a mistake.

const emptyHash = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="

const pull = "repository:library/llama3:pull"

func start(t *testing.T, c challengetest.Config) *challengetest.Registry {
	t.Helper()
	r, err := challengetest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	private := signertest.NewKey(t)
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, key ssh.Signer, text string) string {
	t.Helper()
	sig, err := key.Sign(rand.Reader, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	return encode(key.PublicKey().Marshal()) + ":" + encode(sig.Blob)
}

// An exchange is a signed request for a token. A test may make it invalid.
type exchange struct {
	realm, query string
	key          ssh.Signer
	method       string
	sent         string // query that is sent in place of the signed one
	unsigned     bool
}

// query returns a valid query for scope.
func query(scope string, now time.Time) url.Values {
	return url.Values{
		"nonce":   {rand.Text()},
		"scope":   strings.Fields(scope),
		"service": {"challengetest"},
		"ts":      {strconv.FormatInt(now.Unix(), 10)},
	}
}

func (x exchange) do(t *testing.T, r *challengetest.Registry) reply {
	t.Helper()
	method := x.method
	if method == "" {
		method = http.MethodGet
	}
	signed := x.realm + "?" + x.query
	req := request(t, method, signed, "")
	if x.sent != "" {
		req.URL.RawQuery = x.sent
	}
	if !x.unsigned {
		req.Header.Set("Authorization", sign(t, x.key, method+","+signed+","+emptyHash))
	}
	return do(t, r, req)
}

// token returns a token for scope.
func token(t *testing.T, r *challengetest.Registry, scope string) string {
	t.Helper()
	x := exchange{realm: r.Realm(), query: query(scope, time.Now()).Encode(), key: newKey(t)}
	return x.do(t, r).token(t)
}

// get asks for url, with a bearer token unless it is "".
func get(t *testing.T, r *challengetest.Registry, url, token string) reply {
	t.Helper()
	return send(t, r, http.MethodGet, url, token, "")
}

func send(t *testing.T, r *challengetest.Registry, method, url, token, body string) reply {
	t.Helper()
	req := request(t, method, url, body)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, r, req)
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// A reply is a response with its body, or err.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func do(t *testing.T, r *challengetest.Registry, req *http.Request) reply {
	t.Helper()
	client := r.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body), err}
}

func (got reply) token(t *testing.T) string {
	t.Helper()
	if got.status != http.StatusOK {
		t.Fatalf("exchange: %+v", got)
	}
	var members struct{ Token string }
	if err := json.Unmarshal([]byte(got.body), &members); err != nil {
		t.Fatal(err)
	}
	return members.Token
}

// want checks the status and a part of the body.
func (got reply) want(t *testing.T, status int, part string) {
	t.Helper()
	if got.err != nil || got.status != status || !strings.Contains(got.body, part) {
		t.Errorf("got %d %q (error %v), want %d and %q", got.status, got.body, got.err, status, part)
	}
}

// challenge returns WWW-Authenticate with "URL" for every origin.
func (got reply) challenge() string {
	return regexp.MustCompile(`http://127[.0-9:]+`).ReplaceAllString(got.header.Get("WWW-Authenticate"), "URL")
}

// A clock advances only when a test calls advance.
type clock struct{ at atomic.Pointer[time.Time] }

func newClock() *clock {
	c, now := new(clock), time.Now()
	c.at.Store(&now)
	return c
}

func (c *clock) now() time.Time { return *c.at.Load() }

func (c *clock) advance(d time.Duration) {
	now := c.now().Add(d)
	c.at.Store(&now)
}
