package challenge

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// Sign signs msg with s and returns "<public key>:<signature>", both in padded
// standard base64: the public key in SSH wire format (the second field of an
// authorized_keys line), the signature without SSH's envelope (64 bytes for Ed25519).
// Ollama's auth.Sign returns the same.
//
// Errors: those of s; ErrUnsupported for security keys (sk-), whose signatures have
// flags and a counter, which the format has no place for.
func Sign(ctx context.Context, s signer.Signer, msg []byte) (string, error) {
	pub := s.PublicKey()
	if err := checkKind(pub); err != nil {
		return "", err
	}
	sig, err := s.Sign(ctx, msg)
	if err != nil {
		return "", err
	}
	if want := algorithm(pub); sig.Format != want {
		return "", fmt.Errorf("%w: a signature of kind %s where the format means %s", signer.ErrUnsupported, sig.Format, want)
	}
	encode := base64.StdEncoding.EncodeToString
	return encode(pub.Marshal()) + ":" + encode(sig.Blob), nil
}

// Verify checks that authorization, a value that [Sign] returned, is a signature of
// msg, and returns the key that made it. The caller decides whether it knows that key,
// and cuts an auth-scheme in front ("Bearer ").
func Verify(authorization string, msg []byte) (ssh.PublicKey, error) {
	first, second, ok := strings.Cut(authorization, ":")
	if !ok || strings.ContainsAny(authorization, "\r\n") { // package base64 skips line ends
		return nil, errors.New("malformed signature: want <public key>:<signature> in base64")
	}
	wire, err := base64.StdEncoding.Strict().DecodeString(first)
	if err != nil {
		return nil, fmt.Errorf("malformed public key: not in base64: %w", err)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(second)
	if err != nil {
		return nil, fmt.Errorf("malformed signature: not in base64: %w", err)
	}
	pub, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return nil, fmt.Errorf("malformed public key: %w", err)
	}
	if err := checkKind(pub); err != nil {
		return nil, err
	}
	if err := pub.Verify(msg, &ssh.Signature{Format: algorithm(pub), Blob: blob}); err != nil {
		return nil, fmt.Errorf("the signature is not one of these bytes by key %s", ssh.FingerprintSHA256(pub))
	}
	return pub, nil
}

func checkKind(pub ssh.PublicKey) error {
	switch t := pub.Type(); t {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA:
		return nil
	default:
		return fmt.Errorf("%w: this format cannot carry the signature of a %s key", signer.ErrUnsupported, t)
	}
}

// algorithm names the signature algorithm, which the format leaves out.
func algorithm(pub ssh.PublicKey) string {
	if pub.Type() == ssh.KeyAlgoRSA {
		return ssh.KeyAlgoRSASHA512
	}
	return pub.Type()
}

// emptyHash is the base64 of the lower-case hex text of SHA-256 of nothing, the
// third field of what is signed (Ollama's server/auth.go signs the hash of the
// request's body, which is empty).
const emptyHash = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="

// tokenURL adds to the realm's own query what Ollama's server/auth.go adds. An
// absent service or scope is sent empty, as there.
func tokenURL(realm *url.URL, service, scope string, now time.Time, nonce string) string {
	query := realm.Query()
	query.Add("service", service)
	scopes := strings.Fields(scope)
	if len(scopes) == 0 {
		scopes = []string{""}
	}
	for _, s := range scopes {
		query.Add("scope", s)
	}
	query.Add("ts", strconv.FormatInt(now.Unix(), 10))
	query.Add("nonce", nonce)
	u := *realm
	u.RawQuery = query.Encode()
	return u.String()
}

func newNonce() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b)
}

// SignRequest signs req without waiting for a challenge, as Ollama's API wants
// it: ts, the time in Unix seconds, joins the query, which is then sorted by
// name; Authorization becomes the signature of "METHOD,<path>?<query>". Host,
// headers and body are not covered: send it over TLS to a host that you chose.
//
// Source: Ollama's server/cloud_proxy.go, signCloudProxyRequest.
func SignRequest(ctx context.Context, s signer.Signer, req *http.Request) error {
	return signRequest(ctx, s, req, time.Now())
}

func signRequest(ctx context.Context, s signer.Signer, req *http.Request, now time.Time) error {
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return err
	}
	query.Set("ts", strconv.FormatInt(now.Unix(), 10))
	u := *req.URL
	u.RawQuery = query.Encode()
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	auth, err := Sign(ctx, s, []byte(method+","+u.RequestURI()))
	if err != nil {
		return fmt.Errorf("signing the request to %s: %w", u.Host, err)
	}
	req.URL = &u
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Authorization", auth)
	return nil
}
