package challengetest_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
)

// TestExchange makes the requests that Ollama makes, from a challenge to the
// resource.
func TestExchange(t *testing.T) {
	r := start(t, challengetest.Config{})
	r.AddImage("library/llama3", "latest")
	manifest := r.URL + "/v2/library/llama3/manifests/latest"

	refused := get(t, r, manifest, "")
	refused.want(t, http.StatusUnauthorized, `"code":"UNAUTHORIZED"`)
	want := `Bearer realm="URL/v2/token",service="challengetest",scope="repository:library/llama3:pull"`
	if got := refused.challenge(); got != want {
		t.Errorf("challenge %s\nwant      %s", got, want)
	}
	get(t, r, manifest, token(t, r, pull)).want(t, http.StatusOK, `"schemaVersion":2`)

	wantStats := challengetest.Stats{Resources: 2, Challenges: 1, Exchanges: 1, Tokens: 1, Signatures: 1}
	if diff := cmp.Diff(wantStats, r.Stats()); diff != "" {
		t.Error(diff)
	}
	if got := r.Last(challengetest.Tokens).URL.Query().Get("scope"); got != pull {
		t.Errorf("last exchange asked for %q", got)
	}
}

func TestExchangeRefused(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	now := time.Unix(1700000000, 0)
	r := start(t, challengetest.Config{
		Realm: "/v2/token?account=me",
		Keys:  []ssh.PublicKey{key.PublicKey()},
		Now:   func() time.Time { return now },
		Grant: func(_ ssh.PublicKey, access string) bool { return !strings.HasSuffix(access, ":push") },
	})
	ts := func(off time.Duration) []string {
		return []string{strconv.FormatInt(now.Add(off).Unix(), 10)}
	}
	tests := map[string]struct {
		spoil func(url.Values)
		x     exchange
		want  int
		text  string
	}{
		"honest":          {want: 200, text: `"token"`},
		"ts just in time": {spoil: func(q url.Values) { q["ts"] = ts(-300 * time.Second) }, want: 200},
		"ts too old":      {spoil: func(q url.Values) { q["ts"] = ts(-301 * time.Second) }, want: 401, text: "ts differs by 5m1s"},
		"ts too new":      {spoil: func(q url.Values) { q["ts"] = ts(301 * time.Second) }, want: 401, text: "ts differs by 5m1s"},
		"no ts":           {spoil: func(q url.Values) { q.Del("ts") }, want: 400, text: "ts missing"},
		"no nonce":        {spoil: func(q url.Values) { q.Del("nonce") }, want: 401, text: "nonce missing"},
		"other service":   {spoil: func(q url.Values) { q.Set("service", "x") }, want: 400, text: "service"},
		"realm's query":   {spoil: func(q url.Values) { q.Del("account") }, want: 400, text: "query of the realm"},
		"push":            {spoil: func(q url.Values) { q.Set("scope", pull+",push") }, want: 403, text: "may not have repository:library/llama3:push"},
		"second scope":    {spoil: func(q url.Values) { q.Add("scope", "repository:x:push") }, want: 403, text: "DENIED"},
		"other query":     {x: exchange{sent: "account=me&nonce=n&scope=s&service=challengetest&ts=1"}, want: 401, text: "signature is not one of these bytes"},
		"unknown key":     {x: exchange{key: stranger}, want: 401, text: "unknown key " + ssh.FingerprintSHA256(stranger.PublicKey())},
		"unsigned":        {x: exchange{unsigned: true}, want: 401, text: "malformed signature"},
		"POST":            {x: exchange{method: http.MethodPost}, want: 405, text: "GET only"},
		"malformed query": {x: exchange{sent: "a=%zz"}, want: 400, text: "malformed query"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := query(pull, now)
			q.Set("account", "me")
			if tt.spoil != nil {
				tt.spoil(q)
			}
			x := tt.x
			x.realm, x.query = r.URL+"/v2/token", q.Encode()
			if x.key == nil {
				x.key = key
			}
			x.do(t, r).want(t, tt.want, tt.text)
		})
	}
}

// TestSignedQueryIsUnsorted signs the query in the form that it sends, because
// Ollama's clients of 2023 neither sorted nor escaped it.
func TestSignedQueryIsUnsorted(t *testing.T) {
	r := start(t, challengetest.Config{})
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	q := "service=challengetest&scope=" + pull + "&ts=" + ts + "&nonce=x"
	exchange{realm: r.Realm(), query: q, key: newKey(t)}.do(t, r).token(t)
}

func TestNonceIsUsedOnce(t *testing.T) {
	clock := newClock()
	r := start(t, challengetest.Config{Now: clock.now})
	q := query(pull, clock.now().Add(4*time.Minute))
	x := exchange{realm: r.Realm(), query: q.Encode(), key: newKey(t)}

	x.do(t, r).want(t, http.StatusOK, "token")
	x.do(t, r).want(t, http.StatusUnauthorized, "nonce missing or already used")
	for range 8 { // ts stays in the window, and others come by
		clock.advance(time.Minute)
		other := exchange{realm: r.Realm(), query: query(pull, clock.now()).Encode(), key: x.key}
		other.do(t, r).want(t, http.StatusOK, "token")
		x.do(t, r).want(t, http.StatusUnauthorized, "nonce missing or already used")
	}
	clock.advance(2 * time.Minute)
	x.do(t, r).want(t, http.StatusUnauthorized, "ts differs")
}

func TestRealmForms(t *testing.T) {
	tests := map[string]struct {
		config challengetest.Config
		realm  string // advertised, after the origin
		sent   string // by the client, before the query
	}{
		"default":      {challengetest.Config{}, "/v2/token", "/v2/token"},
		"own query":    {challengetest.Config{Realm: "/auth?account=a+b"}, "/auth?account=a+b", "/auth"},
		"no path":      {challengetest.Config{Realm: "?"}, "?", ""},
		"escaped path": {challengetest.Config{Realm: "/to%2Fken%20x"}, "/to%2Fken%20x", "/to%2Fken%20x"},
		"other origin": {challengetest.Config{Login: true}, "/v2/token", "/v2/token"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t, tt.config)
			r.AddImage("library/llama3", "latest")
			if !strings.Contains(get(t, r, r.URL+"/v2/", "").header.Get("WWW-Authenticate"), `realm="`+r.Realm()+`"`) {
				t.Errorf("the challenge does not name %s", r.Realm())
			}
			origin, ok := strings.CutSuffix(r.Realm(), tt.realm)
			if !ok || (origin == r.URL) == tt.config.Login {
				t.Errorf("realm %s of %s", r.Realm(), r.URL)
			}
			q := query(pull, time.Now())
			q.Set("account", "a b")
			x := exchange{realm: origin + tt.sent, query: q.Encode(), key: newKey(t)}
			got := x.do(t, r).token(t)
			get(t, r, r.URL+"/v2/library/llama3/manifests/latest", got).want(t, http.StatusOK, "layers")
		})
	}
}

func TestTokenRefused(t *testing.T) {
	clock := newClock()
	r := start(t, challengetest.Config{Now: clock.now, TTL: time.Minute})
	r.AddImage("library/llama3", "latest")
	r.AddImage("library/other", "latest")
	manifest := r.URL + "/v2/library/llama3/manifests/latest"
	const realm = `Bearer realm="URL/v2/token",service="challengetest"`

	t.Run("unknown", func(t *testing.T) {
		got := get(t, r, manifest, "x").challenge()
		if want := realm + `,scope="` + pull + `",error="invalid_token"`; got != want {
			t.Errorf("challenge %s, want %s", got, want)
		}
	})
	t.Run("other repository", func(t *testing.T) {
		got := get(t, r, r.URL+"/v2/library/other/manifests/latest", token(t, r, pull)).challenge()
		if want := realm + `,scope="repository:library/other:pull",error="insufficient_scope"`; got != want {
			t.Errorf("challenge %s, want %s", got, want)
		}
	})
	t.Run("push with pull", func(t *testing.T) {
		got := send(t, r, http.MethodPost, r.URL+"/v2/library/llama3/blobs/uploads/", token(t, r, pull), "").challenge()
		if want := realm + `,scope="` + pull + `,push",error="insufficient_scope"`; got != want {
			t.Errorf("challenge %s, want %s", got, want)
		}
	})
	t.Run("expired", func(t *testing.T) {
		bearer := token(t, r, pull)
		clock.advance(59 * time.Second)
		get(t, r, manifest, bearer).want(t, http.StatusOK, "")
		clock.advance(time.Second)
		get(t, r, manifest, bearer).want(t, http.StatusUnauthorized, "")
	})
	t.Run("revoked", func(t *testing.T) {
		bearer := token(t, r, pull)
		get(t, r, manifest, bearer).want(t, http.StatusOK, "")
		r.RevokeAll()
		get(t, r, manifest, bearer).want(t, http.StatusUnauthorized, "")
	})
	t.Run("all actions", func(t *testing.T) {
		get(t, r, manifest, token(t, r, "repository:library/llama3:*")).want(t, http.StatusOK, "")
	})
	t.Run("no scope", func(t *testing.T) {
		bearer := token(t, r, "")
		get(t, r, r.URL+"/v2/", bearer).want(t, http.StatusOK, "{}")
		get(t, r, manifest, bearer).want(t, http.StatusUnauthorized, "")
	})
}

// TestTokenReplyMembers wants the members of distribution's token specification.
func TestTokenReplyMembers(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := start(t, challengetest.Config{Now: func() time.Time { return now }, TTL: 90 * time.Second})
	x := exchange{realm: r.Realm(), query: query(pull, now).Encode(), key: newKey(t)}
	got := x.do(t, r)
	got.want(t, http.StatusOK, `"expires_in":90,"issued_at":"2026-01-02T03:04:05Z","token":"`)
	if date := got.header.Get("Date"); date != "Fri, 02 Jan 2026 03:04:05 GMT" {
		t.Errorf("Date: %s", date)
	}
}
