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
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
	v.client.Key = func(context.Context, *url.URL) (signer.Signer, error) {
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
	v.client.Key = func(ctx context.Context, _ *url.URL) (signer.Signer, error) { return keys.Open(ctx, "mem:ollama") }
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

// TestRedirectChoosesNoRealm has a registry send its client to a server that then
// challenges for itself.
func TestRedirectChoosesNoRealm(t *testing.T) {
	v, other := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
	v.Fail(challengetest.Resources, 2, challengetest.Reply(307, "", "Location", other.URL+manifest))
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, challenge.ErrRealm) || v.signatures.Load() != 0 {
		t.Errorf("error %v after %d signatures, want ErrRealm and none", err, v.signatures.Load())
	}
	v.client.Policy.Pairs = []challenge.RealmPair{{Registry: parseOrigin(t, v.URL), Realm: parseOrigin(t, other.URL)}}
	v.mustGet(t, manifest)
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
		Key:  func(context.Context, *url.URL) (signer.Signer, error) { return key, nil },
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

// TestTokensAreForOneNeed has what tokens are remembered by differ in one part at
// a time.
func TestTokensAreForOneNeed(t *testing.T) {
	v := visit(t, challengetest.Config{})
	origin, _ := url.Parse(v.URL)
	ask := func(realm, service, scope string) {
		t.Helper()
		ch := challenge.Challenge{Scheme: "bearer", Params: []challenge.Param{{Name: "realm", Value: realm}, {Name: "service", Value: service}, {Name: "scope", Value: scope}}}
		if _, err := v.client.Token(t.Context(), ch, origin); err != nil {
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
	v.client.Key = func(context.Context, *url.URL) (signer.Signer, error) { return nil, nil }
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
	const once = `challenged, "asking for a token", "asked for a token"`
	if want := once + `, challenged, "token rejected", "asking for a token", "asked for a token"`; got != want {
		t.Errorf("logged %s\nwant %s", got, want)
	}
	sent := v.Last(challengetest.Resources).Header.Get("Authorization")
	if strings.Contains(log.String(), strings.TrimPrefix(sent, "Bearer ")) {
		t.Error("the log holds the token")
	}
}
