package registry_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/internal/gatetest"
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
