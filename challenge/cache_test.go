package challenge

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer/signertest"
)

// newTestCache returns a cache with room for about so many small tokens, and its clock.
func newTestCache(tokens int) (*cache, *time.Time) {
	now := time.Unix(1700000000, 0)
	size := testToken("0", now, time.Hour).size() + entryBytes
	return &cache{limit: tokens * size, now: func() time.Time { return now }}, &now
}

// testToken is for a scope of one digit, so that all have the same size.
func testToken(scope string, from time.Time, lifetime time.Duration) Token {
	realm := &url.URL{Scheme: "https", Host: "r.example"}
	want := (tokenRequest{registry: httpsOrigin("r.example"), realm: realm, realmText: realm.String()}).withScope(scope)
	return Token{&issued{
		secret:  func() string { return "secret" },
		from:    from,
		expires: from.Add(lifetime),
		request: want,
	}}
}

func TestCacheIsLimited(t *testing.T) {
	c, now := newTestCache(5)
	pub := publicKey(t)
	for i := range 10_000 {
		c.putToken(testToken(strconv.Itoa(i%7), *now, time.Hour))
		origin := httpsOrigin(strconv.Itoa(i) + ".example")
		r := resourceOf(origin, &http.Request{URL: &url.URL{Path: "/v2/a/manifests/latest"}})
		c.putTokenRequest(r, (tokenRequest{registry: origin}).withScope("repository:a:pull"))
		c.tokenRequest(resource{origin: origin, repository: "b", actions: "pull"})
		c.swapKey(origin, pub)
		if c.bytes > c.limit || c.used.Len() != len(c.entries) || len(c.expiring) > len(c.entries) {
			t.Fatalf("%d bytes of %d in %d entries, %d by use, %d by expiry", c.bytes, c.limit, len(c.entries), c.used.Len(), len(c.expiring))
		}
	}
}

func TestCacheDropsTheLeastRecentlyUsed(t *testing.T) {
	c, now := newTestCache(3)
	a, b, d := testToken("a", *now, time.Hour), testToken("b", *now, time.Hour), testToken("d", *now, time.Hour)
	for _, token := range []Token{a, b, d} {
		c.putToken(token)
	}
	c.token(a.key())
	c.putToken(testToken("e", *now, time.Minute)) // expires first, and is the newest
	if c.token(b.key()) != (Token{}) {
		t.Error("the least recently used token is still there")
	}
	for _, token := range []Token{a, d} {
		if c.token(token.key()) != token {
			t.Errorf("the token for scope %s is gone", token.request.scope)
		}
	}
}

func TestCacheDropsExpiredTokensFirst(t *testing.T) {
	c, now := newTestCache(3)
	old, short := testToken("a", *now, time.Hour), testToken("b", *now, time.Minute)
	c.putToken(old)
	c.putToken(short)
	c.putToken(testToken("c", *now, time.Hour))
	*now = now.Add(10 * time.Minute)
	c.putToken(testToken("d", *now, time.Hour))
	if c.token(short.key()) != (Token{}) {
		t.Error("the expired token is still there")
	}
	if c.token(old.key()) != old {
		t.Error("the least recently used token was dropped and an expired one was there")
	}
}

// TestMountIsNotGuessed wants the challenge for a mount from the server, because some
// servers ask for a scope of the source too, and then remembers it for that source.
func TestMountIsNotGuessed(t *testing.T) {
	c, _ := newTestCache(1000)
	origin := httpsOrigin("r.example")
	of := func(method, target string) resource {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		return resourceOf(origin, &http.Request{Method: method, URL: u})
	}
	pull := of("GET", "/v2/a/manifests/latest")
	c.putTokenRequest(pull, (tokenRequest{registry: origin}).withScope(pull.scope()))
	const upload = "/v2/a/blobs/uploads/"
	if c.tokenRequest(of("POST", upload)) == nil || c.tokenRequest(of("POST", upload+"?from=B%22")) == nil {
		t.Error("the challenge for an upload is not guessed")
	}
	mount := of("POST", upload+"?mount=sha256:00&from=b")
	if got := c.tokenRequest(mount); got != nil {
		t.Errorf("guessed %q for a mount", got.scope)
	}
	const scope = "repository:a:pull,push repository:b:pull"
	c.putTokenRequest(mount, (tokenRequest{registry: origin}).withScope(scope))
	if got := c.tokenRequest(mount); got == nil || got.scope != scope {
		t.Errorf("remembered %v, want %q", got, scope)
	}
	if c.tokenRequest(of("POST", upload+"?mount=sha256:00&from=c")) != nil {
		t.Error("the challenge for another source is taken for this one")
	}
	if got := c.tokenRequest(of("GET", "/v2/d/manifests/latest")); got == nil || got.scope != "repository:d:pull" {
		t.Errorf("after a mount, guessed %v for a pull", got)
	}
}

// TestCacheCountsStrings: an entry with long strings takes more of the limit.
func TestCacheCountsStrings(t *testing.T) {
	const long = 10_000
	text := strings.Repeat("a", long)
	origin := httpsOrigin("r.example")
	r := resource{origin: origin, repository: "a", actions: "pull"}
	want := (tokenRequest{registry: origin, service: text}).withScope(r.scope())
	for name, tt := range map[string]struct {
		put     func(*cache)
		entries int
	}{
		"token": {func(c *cache) {
			token := testToken("a", c.now(), time.Hour)
			token.secret = func() string { return text }
			c.putToken(token)
		}, 1},
		"token request and template": {func(c *cache) { c.putTokenRequest(r, want) }, 2},
		"token request from the template": {func(c *cache) {
			c.putTokenRequest(r, want)
			c.tokenRequest(resource{origin: origin, repository: "b", actions: "pull"})
		}, 3},
		"key": {func(c *cache) { c.swapKey(origin, longKey{publicKey(t), text}) }, 1},
	} {
		c, _ := newTestCache(1000)
		tt.put(c)
		if c.used.Len() != tt.entries || c.bytes < tt.entries*long {
			t.Errorf("%s: %d entries with %d bytes, want %d with more than %d", name, c.used.Len(), c.bytes, tt.entries, tt.entries*long)
		}
	}
}

// A longKey takes as many bytes as text.
type longKey struct {
	ssh.PublicKey
	text string
}

func (k longKey) Marshal() []byte { return []byte(k.text) }

func publicKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// TestSwapKey gives each origin a key, the same key again as another value, and another
// key.
func TestSwapKey(t *testing.T) {
	c, _ := newTestCache(10)
	pub, other := publicKey(t), publicKey(t)
	again, err := ssh.ParsePublicKey(pub.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	first, second := httpsOrigin("first.example"), httpsOrigin("second.example")
	for _, tt := range []struct {
		origin Origin
		key    ssh.PublicKey
		before string
	}{
		{first, pub, ""},
		{first, again, ssh.FingerprintSHA256(pub)},
		{second, other, ""},
		{first, other, ssh.FingerprintSHA256(pub)},
		{first, pub, ssh.FingerprintSHA256(other)},
	} {
		fingerprint, before := c.swapKey(tt.origin, tt.key)
		if fingerprint != ssh.FingerprintSHA256(tt.key) || before != tt.before {
			t.Errorf("%s: got %q after %q, want %q after %q", tt.origin, fingerprint, before, ssh.FingerprintSHA256(tt.key), tt.before)
		}
	}
}

// TestSwapKeyOfSecurityKeys: two of them can differ in the application alone.
func TestSwapKeyOfSecurityKeys(t *testing.T) {
	c, _ := newTestCache(10)
	origin := httpsOrigin("r.example")
	for _, application := range []string{"ssh:", "ssh:work"} {
		key := struct {
			Name        string
			Key         []byte
			Application string
		}{ssh.KeyAlgoSKED25519, make([]byte, 32), application}
		pub, err := ssh.ParsePublicKey(ssh.Marshal(key))
		if err != nil {
			t.Fatal(err)
		}
		if fingerprint, _ := c.swapKey(origin, pub); fingerprint != ssh.FingerprintSHA256(pub) {
			t.Errorf("%s: got %s, want %s", application, fingerprint, ssh.FingerprintSHA256(pub))
		}
	}
}

func TestCacheKeepsTokenRequests(t *testing.T) {
	c, _ := newTestCache(10)
	origin := httpsOrigin("r.example")
	catalog := resourceOf(origin, &http.Request{URL: &url.URL{Path: "/v2/_catalog"}})
	want := (tokenRequest{registry: origin}).withScope("registry:catalog:*")
	c.putTokenRequest(catalog, want)
	if got := c.tokenRequest(catalog); got != want {
		t.Errorf("got the token request %v, want %v", got, want)
	}
}

func TestCacheOfNothing(t *testing.T) {
	c, now := newTestCache(0)
	token := testToken("a", *now, time.Hour)
	c.putToken(token)
	if c.token(token.key()) != (Token{}) {
		t.Error("a cache of 0 bytes keeps a token")
	}
}

func TestDropLeavesTheSuccessor(t *testing.T) {
	c, now := newTestCache(10)
	old, successor := testToken("a", *now, time.Hour), testToken("a", *now, time.Hour)
	c.putToken(old)
	c.putToken(successor)
	c.dropToken(old)
	if c.token(old.key()) != successor {
		t.Error("dropping the old token took its successor")
	}
	c.dropToken(successor)
	if c.token(old.key()) != (Token{}) {
		t.Error("the dropped token is still there")
	}
	if c.bytes != 0 || len(c.expiring) != 0 || c.used.Len() != 0 {
		t.Errorf("an empty cache has %d bytes, %d tokens by expiry and %d entries by use", c.bytes, len(c.expiring), c.used.Len())
	}
}

// TestTokenKeys changes one thing at a time that tells tokens apart.
func TestTokenKeys(t *testing.T) {
	key := func(origin, realm, service, scope, fingerprint string) tokenKey {
		o, err := ParseOrigin(origin)
		if err != nil {
			t.Fatal(err)
		}
		r := (tokenRequest{registry: o, realmText: realm, service: service}).withScope(scope)
		return tokenKey{r.id, fingerprint}
	}
	first := key("https://r.example", "https://r.example/token", "s", "repository:a:pull", "SHA256:a")
	for name, other := range map[string]tokenKey{
		"scheme":  key("http://r.example", "https://r.example/token", "s", "repository:a:pull", "SHA256:a"),
		"host":    key("https://q.example", "https://r.example/token", "s", "repository:a:pull", "SHA256:a"),
		"port":    key("https://r.example:8443", "https://r.example/token", "s", "repository:a:pull", "SHA256:a"),
		"realm":   key("https://r.example", "https://r.example/token2", "s", "repository:a:pull", "SHA256:a"),
		"service": key("https://r.example", "https://r.example/token", "t", "repository:a:pull", "SHA256:a"),
		"scope":   key("https://r.example", "https://r.example/token", "s", "repository:a:push", "SHA256:a"),
		"key":     key("https://r.example", "https://r.example/token", "s", "repository:a:pull", "SHA256:b"),
	} {
		if other == first {
			t.Errorf("two tokens that differ in the %s have one key", name)
		}
	}
	same := key("https://R.example:443", "https://r.example/token", "s", "repository:a:pull repository:a:pull", "SHA256:a")
	if same != first {
		t.Errorf("another spelling of the same:\n%s\n%s", strings.ReplaceAll(same.request, "\x00", " "), strings.ReplaceAll(first.request, "\x00", " "))
	}
}
