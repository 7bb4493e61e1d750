package challenge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

func TestUnusableReplies(t *testing.T) {
	tests := []struct {
		name  string
		fault challengetest.Fault
		says  string
	}{
		{"not JSON", challengetest.Reply(200, "<html>welcome</html>"), "not the JSON of a token"},
		{"empty", challengetest.Reply(200, ""), "not the JSON of a token"},
		{"no token", challengetest.Reply(200, `{"expires_in":300}`), "neither token nor access_token"},
		{"64 MiB", challengetest.Huge(64 << 20), "larger than 131072 bytes"},
		{"cut, each time", challengetest.Cut, "it broke off"},
		{"a redirect", challengetest.Reply(302, "", "Location", "/v2/token2"), "may not redirect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // tries are seconds apart
				v := visit(t, challengetest.Config{InMemory: true})
				v.Fail(challengetest.Tokens, challengetest.Always, tt.fault)
				_, err := v.get(t.Context(), manifest)
				if !errors.Is(err, challenge.ErrReply) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want ErrReply that says %q", err, tt.says)
				}
				v.Heal()
				v.mustGet(t, manifest) // nothing of it is remembered
			})
		})
	}
}

func TestRejectedKey(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(403, `{"errors":[{"code":"DENIED","message":"\u001b[31mnot\nfor you\u0007"}]}`))
	_, err := v.get(t.Context(), manifest)
	var e *challenge.Error
	if !errors.Is(err, challenge.ErrRejected) || !errors.As(err, &e) {
		t.Fatalf("error %v, want ErrRejected", err)
	}
	if e.Status != 403 || e.Server != `\x1b[31mnot for you\a` || e.Scope != "repository:"+repo+":pull" || e.Op != "get token" {
		t.Errorf("the error lacks something: %+v", e)
	}
	if strings.ContainsAny(err.Error(), "\x1b\x07") {
		t.Errorf("control characters reach the terminal: %q", err)
	}
}

func TestKeyThatCannotBeOpened(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) {
		return nil, &signer.Error{Op: "open", Ref: "keyring:ollama", Err: signer.ErrLocked}
	}
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, signer.ErrLocked) || !strings.Contains(err.Error(), "keyring:ollama") {
		t.Errorf("error %v, want ErrLocked with the reference", err)
	}
}

func TestErrorsNameTheReference(t *testing.T) {
	v := visit(t, challengetest.Config{})
	key := v.key
	open := signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return key, nil })
	keys := &signer.Keeper{Backend: signer.Mux{"mem": open}}
	v.client.Key = func(ctx context.Context, _ challenge.Origin) (signer.Signer, error) {
		return keys.Open(ctx, "mem:ollama")
	}
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(401, ""))
	if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "(mem:ollama)") {
		t.Errorf("error %v, want the reference in it", err)
	}
}

func TestWithoutAChallenge(t *testing.T) {
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

func TestBodies(t *testing.T) {
	put := func(v *visitor, body io.Reader) error {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, v.URL+manifest, body)
		req.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		resp, err := v.http.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("status %s", resp.Status)
		}
		return nil
	}
	const image = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`
	once := func() io.Reader { return io.NopCloser(strings.NewReader(image)) } // has no GetBody

	v := visit(t, challengetest.Config{})
	if err := put(v, once()); !errors.Is(err, challenge.ErrBody) {
		t.Errorf("a body for once only: %v, want ErrBody", err)
	}
	if n := v.signatures.Load(); n != 0 {
		t.Errorf("%d signatures for nothing", n)
	}
	if err := put(v, once()); err != nil {
		t.Errorf("now that the registry is known to challenge: %v", err)
	}
	v = visit(t, challengetest.Config{})
	if err := put(v, strings.NewReader(image)); err != nil {
		t.Errorf("a body with GetBody: %v", err)
	}
	if body, err := v.get(t.Context(), manifest); body != image {
		t.Errorf("stored %q, %v", body, err)
	}
}

// TestBodyIsSentAgain has a base that reads the body of the first request.
func TestBodyIsSentAgain(t *testing.T) {
	var got []string
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
		if req.URL.Path == "/token" {
			resp.Body = io.NopCloser(strings.NewReader(`{"token":"t"}`))
			return resp, nil
		}
		data, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, string(data))
		if req.Header.Get("Authorization") == "" {
			resp.StatusCode = 401
			resp.Header.Set("WWW-Authenticate", `Bearer realm="https://r.example/token"`)
		}
		return resp, nil
	})
	client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
		HTTP: &http.Client{Transport: base}, Key: challenge.StaticKey(visit(t, challengetest.Config{}).key),
	}}}
	resp, err := client.Post("https://r.example/", "text/plain", strings.NewReader("image"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if diff := cmp.Diff([]string{"image", "image"}, got); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
}

// TestChallengeIsAskedAgainAfterAFailure: what was needed last time may have changed.
func TestChallengeIsAskedAgainAfterAFailure(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.mustGet(t, manifest)
	openKey := v.client.Key
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, signer.ErrLocked }
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, signer.ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	v.client.Key = openKey
	v.mustGet(t, manifest)
	if n := v.Stats().Challenges; n != 2 {
		t.Errorf("%d challenges, want 2: another one after the failure", n)
	}
}

// TestShortBodyOfA401IsRead, so that the connection can be used again.
func TestShortBodyOfA401IsRead(t *testing.T) {
	body := strings.NewReader("sign in first")
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 401, Body: io.NopCloser(body), ContentLength: body.Size(), Request: req,
			Header: http.Header{"Www-Authenticate": {`Bearer realm="https://evil.example/token"`}},
		}, nil
	})
	client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
		Key: challenge.StaticKey(visit(t, challengetest.Config{}).key),
	}}}
	if _, err := client.Get("https://r.example/"); !errors.Is(err, challenge.ErrRealm) {
		t.Errorf("got %v, want ErrRealm", err)
	}
	if body.Len() != 0 {
		t.Errorf("%d bytes of the body are not read", body.Len())
	}
}

func TestTokensGoNowhereElse(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen = append(seen, req.Header.Get("Authorization"))
		io.WriteString(w, "elsewhere")
	}))
	defer other.Close()
	for _, tls := range []bool{false, true} {
		v := visit(t, challengetest.Config{TLS: tls})
		v.mustGet(t, manifest)
		for _, to := range []string{other.URL, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)} {
			v.Fail(challengetest.Resources, 1, challengetest.Reply(307, "", "Location", to))
			if body, err := v.get(t.Context(), manifest); body != "elsewhere" {
				t.Errorf("redirected to %s: %q, %v", to, body, err)
			}
		}
	}
	if got := strings.Join(seen, ""); got != "" || len(seen) != 4 {
		t.Errorf("the other server was sent %q", seen)
	}
}

// TestTokenIsKeptFromSubdomains: http.Client itself would pass a field of the
// caller's on to them.
func TestTokenIsKeptFromSubdomains(t *testing.T) {
	sent := map[string]string{}
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		sent[req.URL.Host+req.URL.Path] = req.Header.Get("Authorization")
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
		switch {
		case req.URL.Path == "/token":
			resp.Body = io.NopCloser(strings.NewReader(`{"token":"t"}`))
		case req.URL.Host == "r.example" && req.Header.Get("Authorization") == "":
			resp.StatusCode = 401
			resp.Header.Set("WWW-Authenticate", `Bearer realm="https://r.example/token"`)
		case req.URL.Host == "r.example":
			resp.StatusCode = 307
			resp.Header.Set("Location", "https://cdn.r.example/blob")
		}
		return resp, nil
	})
	key := visit(t, challengetest.Config{}).key
	client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
		HTTP: &http.Client{Transport: base},
		Key:  challenge.StaticKey(key),
	}}}
	resp, err := client.Get("https://r.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if sent["r.example/"] != "Bearer t" || sent["cdn.r.example/blob"] != "" {
		t.Errorf("Authorization fields: %q", sent)
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

// TestTokensAreForOneScope has what tokens are remembered by differ in one part at
// a time.
func TestTokensAreForOneScope(t *testing.T) {
	v := visit(t, challengetest.Config{})
	req, _ := http.NewRequest(http.MethodGet, v.URL, nil)
	ask := func(realm, service, scope string) {
		t.Helper()
		ch := challenge.Challenge{Scheme: "bearer", Params: []challenge.Param{{Name: "realm", Value: realm}, {Name: "service", Value: service}, {Name: "scope", Value: scope}}}
		if _, err := v.client.Token(t.Context(), ch, req); err != nil {
			t.Error(err)
		}
	}
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(200, `{"token":"t"}`))
	for range 3 {
		ask(v.Realm(), "a", "repository:x:pull,push")
		ask(v.Realm(), "a", "repository:x:push repository:x:pull") // the same
		ask(v.Realm(), "a", "repository:x:pull")
		ask(v.Realm(), "b", "repository:x:pull")
		ask(v.Realm()+"?account=me", "b", "repository:x:pull")
	}
	if n := v.Stats().Exchanges; n != 4 {
		t.Errorf("%d exchanges, want 4", n)
	}
}

func TestBlobsFromAnotherOrigin(t *testing.T) {
	v := visit(t, challengetest.Config{CDN: true}, "weights")
	for range 2 {
		if body, err := v.get(t.Context(), blob(v.layers[0])); body != "weights" {
			t.Errorf("%q, %v", body, err)
		}
	}
}

func TestNextRepositoryIsGuessed(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.AddImage("other/model", "latest")
	v.mustGet(t, manifest)
	v.mustGet(t, "/v2/other/model/manifests/latest")
	if s := v.Stats(); s.Challenges != 1 || s.Exchanges != 2 {
		t.Errorf("%d challenges and %d exchanges, want 1 and 2", s.Challenges, s.Exchanges)
	}
	v.AddImage("third/model", "latest")
	v.Fail(challengetest.Tokens, 1, challengetest.Reply(403, "")) // a guess that is wrong
	v.mustGet(t, "/v2/third/model/manifests/latest")
	if s := v.Stats(); s.Challenges != 2 {
		t.Errorf("%d challenges, want one for the wrong guess", s.Challenges-1)
	}
}

func TestScopesInTurnKeepTheirTokens(t *testing.T) {
	v := visit(t, challengetest.Config{})
	scopes := []string{"a", "b"}
	for i := range 10 {
		line := `Bearer realm="` + v.Realm() + `",service="challengetest",scope="` + scopes[i%2] + `"`
		v.Fail(challengetest.Resources, 1, challengetest.Reply(401, "", "WWW-Authenticate", line))
		v.Fail(challengetest.Resources, 1, challengetest.Reply(200, ""))
		v.mustGet(t, "/v2/")
	}
	if n := v.Stats().Exchanges; n != 2 {
		t.Errorf("%d exchanges for two scopes, want 2", n)
	}
}

// TestResponseDoesNotCarryTheToken: a caller may build the next request on it.
func TestResponseDoesNotCarryTheToken(t *testing.T) {
	v := visit(t, challengetest.Config{})
	resp, err := v.http.Get(v.URL + manifest)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Request.Header.Get("Authorization"); got != "" {
		t.Errorf("resp.Request carries %.7s...", got)
	}
}

func TestKeyThatIsNone(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, nil }
	if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "neither a signer nor an error") {
		t.Errorf("error %v", err)
	}
}

func TestNewKeyNeedsANewToken(t *testing.T) {
	v, other := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
	v.mustGet(t, manifest)
	v.key = other.key
	v.mustGet(t, manifest)
	if n := v.Stats().Exchanges; n != 2 {
		t.Errorf("%d exchanges for two keys, want 2", n)
	}
}

func TestRealmOnAListedOrigin(t *testing.T) {
	v := visit(t, challengetest.Config{Login: true})
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, challenge.ErrRealm) {
		t.Fatalf("error %v, want ErrRealm", err)
	}
	realm, _ := url.Parse(v.Realm())
	v.client.Policy.Pairs = []challenge.RealmPair{{Registry: parseOrigin(t, v.URL), Realm: originOf(t, realm)}}
	v.mustGet(t, manifest)
}

func TestTrace(t *testing.T) {
	v := visit(t, challengetest.Config{})
	var log bytes.Buffer
	ctx := challenge.WithTrace(t.Context(), challenge.LogTrace(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	if _, err := v.get(ctx, manifest); err != nil {
		t.Fatal(err)
	}
	v.RevokeAll()
	if _, err := v.get(ctx, manifest); err != nil {
		t.Fatal(err)
	}
	var messages []string
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, "msg=")
		message, _, _ := strings.Cut(rest, " registry=")
		messages = append(messages, message)
	}
	got := strings.Join(messages, ", ")
	const first = `challenged, "key opened", "asking for a token", "asked for a token"`

	if want := first + `, challenged, "token rejected", "asking for a token", "asked for a token"`; got != want {
		t.Errorf("logged %s\nwant %s", got, want)
	}
	sent := v.Last(challengetest.Resources).Header.Get("Authorization")
	if strings.Contains(log.String(), strings.TrimPrefix(sent, "Bearer ")) {
		t.Error("the log holds the token")
	}
}

// An endless is a body that never ends. Reading far into it is an error of the test.
type endless struct {
	t      *testing.T
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read += len(p); e.read > 16<<20 {
		e.t.Error("an endless body is read to its end")
		return 0, io.EOF
	}
	return len(p), nil
}

func (e *endless) Close() error {
	e.closed = true
	return nil
}

// TestEndlessBodyOfA401 covers a body whose length is not known, and one that is longer
// than its header says.
func TestEndlessBodyOfA401(t *testing.T) {
	key := visit(t, challengetest.Config{}).key
	for _, length := range []int64{-1, 0, 1000, 1 << 40} {
		for _, realm := range []string{"https://r.example/token", "https://evil.example/token"} {
			body := &endless{t: t}
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
				switch {
				case req.URL.Path == "/token":
					resp.Body = io.NopCloser(strings.NewReader(`{"token":"t"}`))
				case req.Header.Get("Authorization") == "":
					resp.StatusCode, resp.Body, resp.ContentLength = 401, body, length
					resp.Header.Set("WWW-Authenticate", `Bearer realm="`+realm+`"`)
				}
				return resp, nil
			})
			client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
				HTTP: &http.Client{Transport: base}, Key: challenge.StaticKey(key),
			}}}
			resp, err := client.Get("https://r.example/")
			if wantErr := strings.Contains(realm, "evil"); wantErr != (err != nil) {
				t.Errorf("length %d, realm %s: error %v", length, realm, err)
			}
			if !body.closed {
				t.Errorf("length %d, realm %s: the body is not closed", length, realm)
			}
			if err == nil {
				resp.Body.Close()
			}
		}
	}
}

// TestRememberedTokenIsRefused has a server refuse a token without a challenge.
func TestRememberedTokenIsRefused(t *testing.T) {
	post := func(v *visitor, body io.Reader) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, v.URL+manifest, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := v.http.Do(req)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	once := func() io.Reader { return io.NopCloser(strings.NewReader("{}")) } // has no GetBody
	again := func() io.Reader { return strings.NewReader("{}") }
	tests := []struct {
		status, times   int
		body            func() io.Reader
		want, exchanges int // of this request
		rejected        bool
	}{
		{401, 1, again, 200, 1, false},
		{401, 2, again, 0, 1, true}, // the fresh token is refused too
		{401, 1, once, 401, 0, false},
		{400, 1, again, 400, 0, false},
		{403, 1, again, 403, 0, false},
		{404, 1, again, 404, 0, false},
		{500, 1, again, 500, 0, false},
	}
	for _, tt := range tests {
		v := visit(t, challengetest.Config{})
		accept := challengetest.Reply(200, "")
		v.Fail(challengetest.Resources, 1, func(next http.Handler) http.Handler { return next }) // challenges
		v.Fail(challengetest.Resources, 1, accept)
		if status, err := post(v, again()); status != 200 {
			t.Fatalf("status %d, error %v", status, err)
		}
		v.Fail(challengetest.Resources, tt.times, challengetest.Reply(tt.status, `{"error":"no"}`))
		v.Fail(challengetest.Resources, challengetest.Always, accept)
		before := v.Stats().Exchanges
		status, err := post(v, tt.body())
		if status != tt.want || errors.Is(err, challenge.ErrRejected) != tt.rejected {
			t.Errorf("status %d %d times: status %d, error %v", tt.status, tt.times, status, err)
		}
		if n := v.Stats().Exchanges - before; n != tt.exchanges {
			t.Errorf("status %d %d times: %d exchanges, want %d", tt.status, tt.times, n, tt.exchanges)
		}
		before = v.Stats().Exchanges
		if status, err := post(v, again()); status != 200 {
			t.Errorf("after status %d: status %d, error %v", tt.status, status, err)
		}
		dropped := 1
		if tt.want == 200 || tt.times == 2 || tt.status == 404 || tt.status == 500 {
			dropped = 0
		}
		if n := v.Stats().Exchanges - before; n != dropped {
			t.Errorf("after status %d %d times: %d exchanges, want %d", tt.status, tt.times, n, dropped)
		}
	}
}

// TestFreshTokenIsKept: a server that forbids a request with a token that was issued for
// it means the request, not the token.
func TestFreshTokenIsKept(t *testing.T) {
	v := visit(t, challengetest.Config{})
	challenges := func(next http.Handler) http.Handler { return next }
	forbids := challengetest.Reply(403, "")
	for _, plan := range []func(){
		func() { v.Fail(challengetest.Resources, 1, challenges); v.Fail(challengetest.Resources, 1, forbids) },
		func() { v.key = visit(t, challengetest.Config{}).key; v.Fail(challengetest.Resources, 1, forbids) }, // what it asks for is known
	} {
		plan()
		before := v.Stats().Exchanges
		if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("error %v", err)
		}
		v.mustGet(t, manifest)
		if n := v.Stats().Exchanges - before; n != 1 {
			t.Errorf("%d exchanges, want 1", n)
		}
	}
}

func TestReject(t *testing.T) {
	v := visit(t, challengetest.Config{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL+manifest, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		t.Fatal(err)
	}
	get := func() challenge.Token {
		t.Helper()
		token, err := v.client.Token(t.Context(), ch, req)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	v.client.Reject(challenge.Token{}) // nothing to reject
	first := get()
	if second := get(); second.Value() != first.Value() {
		t.Error("the token is not remembered")
	}
	v.client.Reject(first)
	second := get()
	if second.Value() == first.Value() {
		t.Error("the rejected token is still there")
	}
	v.client.Reject(first) // a late caller
	if get().Value() != second.Value() {
		t.Error("rejecting the first token again took the second")
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

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error {
	c.closed++
	return nil
}

func TestWithoutAKey(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.client.Key = nil
	if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "field Key is nil") {
		t.Errorf("Transport: error %v", err)
	}
	body := &closeCounter{Reader: strings.NewReader("{}")}
	client := &http.Client{Transport: &challenge.RequestSigner{Origins: []challenge.Origin{parseOrigin(t, v.URL)}}}
	if _, err := client.Post(v.URL, "text/plain", body); err == nil || !strings.Contains(err.Error(), "field Key is nil") || body.closed == 0 {
		t.Errorf("RequestSigner: error %v, body closed %d times", err, body.closed)
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

// TestTraceOfKeys: the Trace of the Client and that of the request are both told.
func TestTraceOfKeys(t *testing.T) {
	v := visit(t, challengetest.Config{})
	first, second := v.key, visit(t, challengetest.Config{}).key
	var got []string
	v.client.Trace = &challenge.Trace{
		KeyOpened: func(e challenge.Event) { got = append(got, "opened "+e.Registry+" "+e.Key) },
		KeyChanged: func(e challenge.Event) {
			got = append(got, "changed "+e.Registry+" "+e.Previous+" to "+e.Key)
		},
		KeyFailed: func(e challenge.Event) {
			got = append(got, fmt.Sprintf("failed %s %v", e.Registry, errors.Is(e.Err, signer.ErrLocked)))
		},
	}
	var ofRequest int
	ctx := challenge.WithTrace(t.Context(), &challenge.Trace{KeyOpened: func(challenge.Event) { ofRequest++ }})
	if _, err := v.get(ctx, manifest); err != nil {
		t.Fatal(err)
	}
	v.mustGet(t, manifest)
	v.key = second
	v.mustGet(t, manifest)
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, signer.ErrLocked }
	for range 2 {
		if _, err := v.get(t.Context(), manifest); !errors.Is(err, signer.ErrLocked) {
			t.Errorf("error %v", err)
		}
	}
	want := []string{
		"opened " + v.URL + " " + ssh.FingerprintSHA256(first.PublicKey()),
		"changed " + v.URL + " " + ssh.FingerprintSHA256(first.PublicKey()) + " to " + ssh.FingerprintSHA256(second.PublicKey()),
		"failed " + v.URL + " true",
		"failed " + v.URL + " true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the Client's Trace was told (-want +got):\n%s", diff)
	}
	if ofRequest != 1 {
		t.Errorf("the request's Trace was told %d times, want once", ofRequest)
	}
}

// TestFailuresAreLogged: each failed request leaves a warning.
func TestFailuresAreLogged(t *testing.T) {
	malformed := challengetest.Reply(401, "", "WWW-Authenticate", `Bearer realm="x`)
	for name, plan := range map[string]func(*visitor){
		"the key is locked": func(v *visitor) {
			v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, signer.ErrLocked }
		},
		"the realm is refused": func(v *visitor) {
			v.Fail(challengetest.Challenges, challengetest.Always, challengetest.WrongRealm("https://evil.example/token"))
		},
		"the challenge is malformed": func(v *visitor) { v.Fail(challengetest.Challenges, challengetest.Always, malformed) },
		"the key is unknown":         func(v *visitor) { v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(401, "")) },
		"the token is refused":       func(v *visitor) { v.Fail(challengetest.Resources, challengetest.Always, challengetest.NeverSatisfied) },
	} {
		v := visit(t, challengetest.Config{})
		plan(v)
		var log bytes.Buffer
		v.client.Trace = challenge.LogTrace(slog.New(slog.NewTextHandler(&log, nil))) // Info and above
		for range 2 {
			before := strings.Count(log.String(), "level=WARN")
			if _, err := v.get(t.Context(), manifest); err == nil {
				t.Errorf("%s: no error", name)
			}
			if n := strings.Count(log.String(), "level=WARN") - before; n == 0 {
				t.Errorf("%s: no warning in the log: %s", name, log.String())
			}
		}
	}
}
