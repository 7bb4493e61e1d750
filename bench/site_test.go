package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

const repo = "library/llama3"

// A site is a registry as a client sees it.
type site struct {
	url    string            // its origin
	realm  string            // its token endpoint
	base   http.RoundTripper // reaches both
	key    signer.Signer     // a key that it knows
	layers []layer           // of library/llama3:latest
}

type layer struct {
	digest string
	size   int
}

func (s site) host() string {
	_, host, _ := strings.Cut(s.url, "://")
	return host
}

func newKey(tb testing.TB) (ed25519.PrivateKey, signer.Signer) {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		tb.Fatal(err)
	}
	return private, key
}

// open starts a registry that verifies every signature, with an image of as
// many layers as there are ever callers.
func open(tb testing.TB, c challengetest.Config) (*challengetest.Registry, site) {
	tb.Helper()
	registry, err := challengetest.Start(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(registry.Close)
	s := site{url: registry.URL, realm: registry.Realm(), base: registry.Client().Transport}
	_, s.key = newKey(tb)
	var data [][]byte
	for i := range callers {
		data = append(data, strconv.AppendInt(nil, int64(i), 10))
	}
	for i, digest := range registry.AddImage(repo, "latest", data...) {
		s.layers = append(s.layers, layer{digest, len(data[i])})
	}
	return registry, s
}

// signed is what lies under a peer, none of which can sign: it completes the
// requests for tokens, so that the same registry serves all.
type signed struct{ site }

func (s signed) RoundTrip(req *http.Request) (*http.Response, error) {
	target, _, _ := strings.Cut(req.URL.String(), "?")
	if target != s.realm {
		return s.base.RoundTrip(req)
	}
	out := req.Clone(req.Context())
	query := out.URL.Query()
	query.Set("ts", strconv.FormatInt(time.Now().Unix(), 10))
	query.Set("nonce", rand.Text())
	out.URL.RawQuery = query.Encode()
	auth, err := challenge.Sign(req.Context(), s.key, []byte("GET,"+out.URL.String()+","+emptyHash()))
	if err != nil {
		return nil, err
	}
	out.Header.Set("Authorization", auth)
	return s.base.RoundTrip(out)
}

// emptyHash is the base64 of the hex text of SHA-256 of nothing.
func emptyHash() string {
	sum := sha256.Sum256(nil)
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}

func (s site) peerClient() *http.Client { return &http.Client{Transport: signed{s}} }
