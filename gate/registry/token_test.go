package registry_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/nonce"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/signer"
)

// A request is a request for a token that a test changes before it is signed.
type request struct {
	origin, path string
	query        url.Values
	host         string // of the request; "" means that of the origin
}

// ask returns an honest request for scopes.
func ask(g *gatetest.Gate, scopes ...string) request {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	return request{origin: g.Origin, path: "/token", query: url.Values{
		"service": {g.Config.Sites[0].Service()},
		"scope":   scopes,
		"ts":      {strconv.FormatInt(time.Now().Unix(), 10)},
		"nonce":   {base64.RawURLEncoding.EncodeToString(nonce)},
	}}
}

func (r request) target() string { return r.origin + r.path + "?" + r.query.Encode() }

// sign returns the Authorization field of r.
func (r request) sign(t testing.TB, key signer.Signer) string {
	t.Helper()
	auth, err := challenge.Sign(t.Context(), key, challenge.TokenText(r.target()))
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// A tokenReply is a reply of the token endpoint.
type tokenReply struct {
	status int
	Token  string `json:"token"`
	Error  string `json:"error"`
}

// access returns the access claim of the token.
func (r tokenReply) access(t testing.TB) []scope.Access {
	t.Helper()
	parts := strings.Split(r.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %+v", r)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Access []scope.Access }
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Access
}

// send sends r with Authorization fields.
func (r request) send(t testing.TB, g *gatetest.Gate, authorization ...string) tokenReply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+r.path+"?"+r.query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Authorization"] = authorization
	if req.Host = r.host; r.host == "" {
		req.Host = strings.TrimPrefix(strings.TrimPrefix(r.origin, "http://"), "https://")
	}
	return do(t, req)
}

func do(t testing.TB, req *http.Request) tokenReply {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := tokenReply{status: res.StatusCode}
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%s: %q", res.Status, body)
	}
	return r
}

// exchange asks for scopes with key.
func exchange(t testing.TB, g *gatetest.Gate, key signer.Signer, scopes ...string) tokenReply {
	t.Helper()
	r := ask(g, scopes...)
	return r.send(t, g, r.sign(t, key))
}

func enrolled(t testing.TB, o gatetest.Options) (*gatetest.Gate, signer.Signer) {
	t.Helper()
	g, key := gatetest.Start(t, o), gatetest.NewKey(t)
	g.Enrol(map[string]signer.Signer{"alice": key})
	return g, key
}

func TestRule01_Origin(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Origin: "https://reg.example"})
	for host, want := range map[string]int{
		"reg.example":      200,
		"reg.example:443":  200,
		"REG.example":      200,
		"reg.example:0443": 200,
		"reg.example:80":   421,
		"reg.example.":     421,
		"other.example":    421,
		"reg.example/":     421,
	} {
		r := ask(g)
		r.origin = "https://" + host
		if got := r.send(t, g, r.sign(t, key)); got.status != want {
			t.Errorf("%s: got %+v, want %d", host, got, want)
		}
	}
	// The signed origin must be the one that the client asks.
	for _, origin := range []string{"https://reg.example:443", "http://reg.example", "https://other.example"} {
		r := ask(g)
		r.origin, r.host = origin, "reg.example"
		if got := r.send(t, g, r.sign(t, key)); got.status != 401 {
			t.Errorf("signed for %s: got %+v, want 401", origin, got)
		}
	}
}

func TestRule01_ForwardedHostCountsForNothing(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	r := ask(g)
	r.origin = "https://other.example"
	req, err := http.NewRequest(http.MethodGet, g.URL+"/token?"+r.query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", r.sign(t, key))
	req.Header.Set("X-Forwarded-Host", "other.example")
	req.Header.Set("X-Forwarded-Proto", "https")
	req.Header.Set("Forwarded", "host=other.example;proto=https")
	if got := do(t, req); got.status != 401 {
		t.Errorf("got %+v, want 401", got)
	}
}

func TestRule03_TextsOfOtherForms(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	for name, change := range map[string]func(*request){
		"negative ts":       func(r *request) { r.query.Set("ts", "-1") },
		"ts with a zero":    func(r *request) { r.query.Set("ts", "0"+r.query.Get("ts")) },
		"no ts":             func(r *request) { r.query.Del("ts") },
		"two ts":            func(r *request) { r.query.Add("ts", r.query.Get("ts")) },
		"no nonce":          func(r *request) { r.query.Del("nonce") },
		"short nonce":       func(r *request) { r.query.Set("nonce", "AAEC") },
		"two nonces":        func(r *request) { r.query.Add("nonce", r.query.Get("nonce")) },
		"unknown parameter": func(r *request) { r.query.Set("more", "1") },
		"two services":      func(r *request) { r.query.Add("service", "other") },
	} {
		r := ask(g)
		change(&r)
		if got := r.send(t, g, r.sign(t, key)); got.status != 401 {
			t.Errorf("%s: got %+v, want 401", name, got)
		}
	}
}

func TestRule04_Authorization(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Grants: "[[grant]]\nanonymous = true\nrepositories = [\"*\"]\nactions = [\"pull\"]\n"})
	r := ask(g, "repository:a:pull")
	good, other := r.sign(t, key), r.sign(t, gatetest.NewKey(t))
	for name, fields := range map[string][]string{
		"twice":          {good, good},
		"empty":          {""},
		"long":           {good + strings.Repeat("A", 8<<10)},
		"another text":   {ask(g).sign(t, key)},
		"Basic":          {"Basic dTpw"},
		"Bearer":         {"Bearer " + good},
		"no signature":   {strings.SplitAfter(good, ":")[0]},
		"other key":      {strings.SplitAfter(good, ":")[0] + strings.Split(other, ":")[1]},
		"unknown key":    {other},
		"base64 with LF": {good[:10] + "\t" + good[10:]},
	} {
		if got := r.send(t, g, fields...); got.status != 401 || got.Token != "" {
			t.Errorf("%s: got %+v, want 401", name, got)
		}
	}
	if got := r.send(t, g); got.status != 200 {
		t.Errorf("anonymous: got %+v", got)
	}
	if got := r.send(t, g, good); got.status != 200 {
		t.Errorf("the request was spoilt by its wrong forms: %+v", got)
	}
}

func TestRule04_OnlyAProvedKeyLearnsItsState(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	unknown := gatetest.NewKey(t)
	r := ask(g)
	forged := strings.SplitAfter(r.sign(t, unknown), ":")[0] + strings.Split(r.sign(t, key), ":")[1]
	known := strings.SplitAfter(r.sign(t, key), ":")[0] + strings.Split(r.sign(t, unknown), ":")[1]
	one, two := r.send(t, g, forged), r.send(t, g, known)
	for _, fingerprint := range []string{ssh.FingerprintSHA256(unknown.PublicKey()), ssh.FingerprintSHA256(key.PublicKey())} {
		one.Error, two.Error = strings.ReplaceAll(one.Error, fingerprint, "KEY"), strings.ReplaceAll(two.Error, fingerprint, "KEY")
	}
	if one != two || one.status != 401 {
		t.Errorf("forged signatures of an unknown and of a known key: %+v and %+v", one, two)
	}
	if got := exchange(t, g, unknown); got.status != 401 || !strings.Contains(got.Error, "not enrolled: "+ssh.FingerprintSHA256(unknown.PublicKey())) {
		t.Errorf("a proved unknown key: %+v", got)
	}
}

func TestRule04_RSA(t *testing.T) {
	for bits, want := range map[int]int{1024: 401, 2048: 200} {
		if bits < 2048 {
			t.Setenv("GODEBUG", "rsa1024min=0")
		}
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		sshKey, err := ssh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		key := signer.FromSSH(sshKey)
		g := gatetest.Start(t, gatetest.Options{})
		g.Enrol(map[string]signer.Signer{"alice": key})
		if got := exchange(t, g, key); got.status != want {
			t.Errorf("%d bits: %+v, want %d", bits, got, want)
		}
	}
}

func TestRule04_RateBeforeTheSignature(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Change: func(text string) string {
		return strings.Replace(text, "per_address = 50", "per_address = 1", 1)
	}})
	statuses := map[int]int{}
	for range 8 {
		statuses[ask(g).send(t, g, "wrong:wrong").status]++
	}
	if statuses[401] > 5 || statuses[429] < 3 {
		t.Errorf("statuses: %v", statuses)
	}
	if got := exchange(t, g, key); got.status != 429 {
		t.Errorf("an honest request from the same address: %+v", got)
	}
}

const someGrants = `
[[grant]]
names = ["alice"]
repositories = ["users/${name}/*", "shared"]
actions = ["pull", "push"]
[[grant]]
names = ["*"]
repositories = ["library/*"]
actions = ["pull"]
[[grant]]
names = ["alice"]
catalog = true
endpoints = ["chat"]
[[grant]]
anonymous = true
repositories = ["public"]
actions = ["pull"]
`

func TestRule08_Intersection(t *testing.T) {
	g, alice := gatetest.Start(t, gatetest.Options{Grants: someGrants}), gatetest.NewKey(t)
	bob := gatetest.NewKey(t)
	g.Enrol(map[string]signer.Signer{"alice": alice, "bob": bob})
	for _, tt := range []struct {
		key    signer.Signer
		scopes []string
		want   string // "" is 403
	}{
		{alice, nil, "-"},
		{alice, []string{""}, "-"},
		{alice, []string{"repository:users/alice/a:pull,push"}, "repository:users/alice/a:pull,push"},
		{alice, []string{"repository:users/alice/a:pull,push,delete,x"}, "repository:users/alice/a:pull,push"},
		{alice, []string{"repository:users/alice/a:*"}, "repository:users/alice/a:pull,push"},
		{alice, []string{"repository:library/x:pull,push repository:shared:push"}, "repository:library/x:pull repository:shared:push"},
		{alice, []string{"repository:library/x:pull", "repository:users/bob/x:pull"}, "repository:library/x:pull"},
		{alice, []string{"registry:catalog:*"}, "registry:catalog:*"},
		{alice, []string{"ollama:chat:call"}, "ollama:chat:call"},
		{alice, []string{"repository:a/b:c/d:pull", "repository(plugin):shared:pull", "registry:catalog:x", "registry:other:*", "x", "a:b", "::"}, ""},
		{alice, []string{"repository:users/alice/../bob/x:pull"}, ""},
		{alice, []string{"repository:users/alice/:pull"}, ""},
		{alice, []string{"repository:users/alice:pull"}, ""},
		{alice, []string{"repository:Shared:pull"}, ""},
		{alice, []string{"repository:*:pull"}, ""},
		{bob, []string{"repository:users/bob/a:pull"}, ""},
		{bob, []string{"registry:catalog:*"}, ""},
		{bob, []string{"repository:public:pull,push"}, "repository:public:pull"},
	} {
		got := exchange(t, g, tt.key, tt.scopes...)
		if tt.want == "" {
			if got.status != 403 || got.Token != "" || got.Error == "" {
				t.Errorf("%q: got %+v, want 403 with a reason", tt.scopes, got)
			}
			continue
		}
		var list []string
		for _, a := range got.access(t) {
			list = append(list, a.String())
		}
		if text := strings.Join(list, " "); text != strings.Trim(tt.want, "-") {
			t.Errorf("%q: got %q, want %q", tt.scopes, text, tt.want)
		}
	}
	if got := exchange(t, g, bob, "repository:shared:pull"); got.Error != "bob has no grant for repository:shared:pull" {
		t.Errorf("the reason is %q", got.Error)
	}
	if got := exchange(t, g, bob, "repository:shared:pull repository:other:pull"); got.Error != "bob has no grant for repository:shared:pull and others" {
		t.Errorf("the reason is %q", got.Error)
	}
	for scope, want := range map[string]int{"repository:public:pull": 200, "repository:public:push": 401, "repository:shared:pull": 401, "": 200} {
		if got := ask(g, scope).send(t, g); got.status != want {
			t.Errorf("anonymous %q: got %+v, want %d", scope, got, want)
		}
	}
}

func TestRule08_OtherService(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	r := ask(g)
	r.query.Set("service", "other")
	if got := r.send(t, g, r.sign(t, key)); got.status != 400 {
		t.Errorf("got %+v, want 400", got)
	}
}

func TestRule11_OneTokenForARequest(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Change: func(text string) string {
		return strings.NewReplacer("per_address = 50", "per_address = 1000", "per_key = 100", "per_key = 1000").Replace(text)
	}})
	r := ask(g)
	auth := r.sign(t, key)
	var tokens atomic.Int32
	var tasks sync.WaitGroup
	for range 100 {
		tasks.Go(func() {
			if r.send(t, g, auth).status == 200 {
				tokens.Add(1)
			}
		})
	}
	tasks.Wait()
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// A request that is refused for another reason can be sent again when the reason is gone.
func TestRule11_TheNonceIsTakenLast(t *testing.T) {
	g, key := gatetest.Start(t, gatetest.Options{}), gatetest.NewKey(t)
	r := ask(g, "repository:users/alice/a:pull")
	auth := r.sign(t, key)
	if got := r.send(t, g, auth); got.status != 401 {
		t.Fatalf("unknown key: %+v", got)
	}
	g.Enrol(map[string]signer.Signer{"bob": key})
	if got := r.send(t, g, auth); got.status != 403 {
		t.Fatalf("no grant: %+v", got)
	}
	g.Enrol(map[string]signer.Signer{"alice": key})
	if got := r.send(t, g, auth); got.status != 200 {
		t.Fatalf("granted: %+v", got)
	}
	if got := r.send(t, g, auth); got.status != 401 {
		t.Fatalf("used: %+v", got)
	}
}

func TestRule11_Window(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	for off, want := range map[time.Duration]int{-6 * time.Minute: 401, -4 * time.Minute: 200, 45 * time.Second: 401} {
		r := ask(g)
		r.query.Set("ts", strconv.FormatInt(time.Now().Add(off).Unix(), 10))
		if got := r.send(t, g, r.sign(t, key)); got.status != want {
			t.Errorf("%v: %+v, want %d", off, got, want)
		}
	}
}

// A lostStore does not answer.
type lostStore struct{}

var errLost = fmt.Errorf("%w: dial tcp 192.0.2.7:6379", nonce.ErrUnavailable)

func (lostStore) Take(context.Context, nonce.Key, time.Time) error { return errLost }
func (lostStore) Ready(context.Context) error                      { return errLost }

// Clients do not learn where the store is.
func TestRule12_LostStore(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Nonces: lostStore{}})
	if got := exchange(t, g, key); got.status != 503 || got.Token != "" || strings.Contains(got.Error, "192.0.2.7") {
		t.Errorf("%+v", got)
	}
}

// post sends a helper secret.
func post(t testing.TB, g *gatetest.Gate, secret string, change url.Values) tokenReply {
	t.Helper()
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {secret}, "client_id": {"test"},
		"service": {g.Config.Sites[0].Service()}, "scope": {"repository:users/alice/a:pull,push,delete"},
	}
	maps.Copy(form, change)
	req, err := http.NewRequest(http.MethodPost, g.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, req)
}

func helperSecret(t testing.TB, g *gatetest.Gate, key signer.Signer, change func(*challenge.HelperSecret)) string {
	t.Helper()
	h := challenge.HelperSecret{
		Origin: g.Config.Sites[0].Origin, Service: g.Config.Sites[0].Service(),
		Actions: []string{"pull", "push"}, Expires: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(&h)
	}
	secret, err := h.Sign(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestRule17_HelperSecret(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	secret := helperSecret(t, g, key, nil)
	for range 2 { // it is no single-use secret
		got := post(t, g, secret, nil)
		want := []scope.Access{{Type: "repository", Name: "users/alice/a", Actions: []string{"pull", "push"}}}
		if diff := cmp.Diff(want, got.access(t)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	other, err := challenge.ParseOrigin("https://other.example")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*challenge.HelperSecret){
		"other origin":  func(h *challenge.HelperSecret) { h.Origin = other },
		"other service": func(h *challenge.HelperSecret) { h.Service = "other" },
		"expired":       func(h *challenge.HelperSecret) { h.Expires = time.Now() },
		"13 hours":      func(h *challenge.HelperSecret) { h.Expires = time.Now().Add(13 * time.Hour) },
	} {
		if got := post(t, g, helperSecret(t, g, key, change), nil); got.status != 401 {
			t.Errorf("%s: %+v, want 401", name, got)
		}
	}
	readOnly := helperSecret(t, g, key, func(h *challenge.HelperSecret) { h.Actions = []string{"pull"} })
	for scope, want := range map[string]int{
		"repository:users/alice/a:push": 403, "repository:users/alice/a:*": 200, "registry:catalog:*": 200, "ollama:chat:call": 200,
	} {
		got := post(t, g, readOnly, url.Values{"scope": {scope}})
		if got.status != want {
			t.Errorf("%s: %+v, want %d", scope, got, want)
			continue
		}
		if want != 200 {
			continue
		}
		for _, a := range got.access(t) {
			if a.Type != "repository" || len(a.Actions) != 1 || a.Actions[0] != "pull" {
				t.Errorf("%s: got %v", scope, a)
			}
		}
	}
	if got := post(t, g, secret, url.Values{"grant_type": {"password"}}); got.status != 400 {
		t.Errorf("another grant_type: %+v", got)
	}
	// It is no signature of a token request, and such a signature is no secret.
	r := ask(g)
	if got := r.send(t, g, secret[strings.Index(secret, ".")+1:]); got.status != 401 {
		t.Errorf("as Authorization: %+v", got)
	}
	text := base64.RawURLEncoding.EncodeToString(challenge.TokenText(r.target()))
	if got := post(t, g, text+"."+r.sign(t, key), nil); got.status != 401 {
		t.Errorf("a signed token request: %+v", got)
	}
	g.Enrol(nil)
	if got := post(t, g, secret, nil); got.status != 401 {
		t.Errorf("after the key was removed: %+v", got)
	}
}

func TestTokenEndpointIsAudited(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	r := ask(g, "repository:users/alice/a:pull,delete", "repository:b:pull")
	auth := r.sign(t, key)
	reply := r.send(t, g, auth)
	all := g.Decisions()
	if len(all) != 1 {
		t.Fatalf("%d lines", len(all))
	}
	d := all[0]
	want := audit.Decision{
		Time: d.Time, Granted: true, Status: 200, Name: "alice", Key: ssh.FingerprintSHA256(key.PublicKey()),
		Address: "127.0.0.1", Site: g.Origin, Method: "GET", Path: "/token",
		Access: scope.Parse([]string{"repository:users/alice/a:pull,delete"}),
		Asked:  scope.Parse([]string{"repository:users/alice/a:pull,delete", "repository:b:pull"}),
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := fmt.Sprintf("%+v %s", all, g.Messages)
	for _, secret := range []string{reply.Token, auth, strings.Split(auth, ":")[1], r.query.Get("nonce")} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}
