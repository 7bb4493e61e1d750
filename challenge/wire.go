package challenge

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// This file has all of Ollama's format. Its sections are those of docs/wire-formats.md.

// Section: Signature

// Sign signs msg with s and returns "<public key>:<signature>", both in padded
// standard base64: the public key in SSH wire format (the second field of an
// authorized_keys line), the signature without SSH's envelope (64 bytes for Ed25519).
// Ollama's auth.Sign returns the same.
//
// Errors: those of s; ErrUnsupported for security keys (sk-), whose signatures have
// a flag byte and a counter, for which the format has no field.
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
	wire := pub.Marshal()
	text := make([]byte, 0, base64.StdEncoding.EncodedLen(len(wire)+len(sig.Blob)+3))
	text = base64.StdEncoding.AppendEncode(text, wire)
	text = append(text, ':')
	return string(base64.StdEncoding.AppendEncode(text, sig.Blob)), nil
}

// Verify checks that authorization, a value that [Sign] returned, is a signature of
// msg, and returns the key that made it. The caller decides whether it knows that key,
// and cuts an auth-scheme in front ("Bearer ").
func Verify(authorization string, msg []byte) (ssh.PublicKey, error) {
	sig, err := ParseSignature(authorization)
	if err != nil {
		return nil, err
	}
	if err := sig.Verify(msg); err != nil {
		return nil, err
	}
	return sig.Key, nil
}

// A Signature is the result of [Sign], parsed and not yet verified.
type Signature struct {
	// Key is the key that the signature names. Until Verify returned nil, anyone may
	// have written it there.
	Key ssh.PublicKey

	blob []byte
}

// ParseSignature reads the result of [Sign], so that a server can look at the kind and
// the size of the key before it verifies the signature.
func ParseSignature(authorization string) (*Signature, error) {
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
	return &Signature{pub, blob}, nil
}

// Verify returns an error unless s is a signature of msg by its key.
func (s *Signature) Verify(msg []byte) error {
	if err := s.Key.Verify(msg, &ssh.Signature{Format: algorithm(s.Key), Blob: s.blob}); err != nil {
		return fmt.Errorf("the signature is not one of these bytes by key %s", ssh.FingerprintSHA256(s.Key))
	}
	return nil
}

// checkKind returns ErrUnsupported for a key whose signatures the format cannot hold.
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

// Section: Token exchange

// emptyHash is the base64 of the lower-case hex text of SHA-256 of nothing, the
// third field of the signed text (Ollama's server/auth.go signs the hash of the
// request's body, which is empty).
const emptyHash = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="

// tokenURL adds the parameters of a token request to the realm's own query, as
// Ollama's server/auth.go does. An absent service or scope is sent empty, as there.
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

// TokenText returns the text that is signed for a GET request to a token endpoint.
// The target is the whole URL of the request, as the client has it.
func TokenText(target string) []byte { return []byte("GET," + target + "," + emptyHash) }

// newNonce returns 16 random bytes, in the URL's alphabet of base64 without padding.
func newNonce() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b)
}

const (
	defaultLifetime = 60 * time.Second // distribution, docs/content/spec/auth/token.md
	longestLifetime = 24 * time.Hour   // ask again at least daily
)

// readToken reads a token endpoint's reply as distribution's token
// specification has it: token, or its alias access_token; expires_in, 60 s if
// absent or not readable, because the token is good all the same; issued_at.
func readToken(body []byte, header http.Header, now time.Time) (*issued, error) {
	var reply struct {
		Token       string          `json:"token"`
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		IssuedAt    json.RawMessage `json:"issued_at"`
	}
	if err := json.Unmarshal(withoutBOM(body), &reply); err != nil {
		return nil, fmt.Errorf("%w: not the JSON of a token%s", ErrReply, syntaxOf(err))
	}
	value := reply.Token
	if value == "" {
		value = reply.AccessToken
	}
	if err := checkToken(value); err != nil {
		return nil, err
	}
	lifetime := readLifetime(reply.ExpiresIn)
	left := lifetime - age(reply.IssuedAt, header, lifetime, now)
	field := []string{"Bearer " + value}
	return &issued{
		secret: func() string { return field[0][len("Bearer "):] },
		header: func() []string { return field },
		from:   now, expires: now.Add(left),
	}, nil
}

// withoutBOM removes the byte order mark that some servers put before JSON.
func withoutBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\ufeff")) }

// syntaxOf describes a syntax error in JSON without repeating a part of the text.
func syntaxOf(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf(": %v after %d bytes", syntax, syntax.Offset)
	}
	return ""
}

// checkToken wants the characters that a header field may hold.
func checkToken(value string) error {
	if value == "" {
		return fmt.Errorf("%w: neither token nor access_token in it", ErrReply)
	}
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("%w: the token holds characters that no header can", ErrReply)
		}
	}
	return nil
}

// readLifetime reads seconds, also in quotes and with a fraction, and a duration such
// as "300s". A token whose lifetime is not positive is good for a single request.
func readLifetime(value json.RawMessage) time.Duration {
	text := strings.Trim(string(value), `"`)
	if d, err := time.ParseDuration(text); err == nil {
		return min(max(d, 0), longestLifetime)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(seconds) {
		return defaultLifetime
	}
	seconds = min(max(seconds, 0), longestLifetime.Seconds())
	return time.Duration(seconds * float64(time.Second))
}

// age tells how long ago the token was issued, by the server's own clock (its
// Date) where it can, so that a clock that differs from ours changes nothing.
// An age that leaves the token no life is not believed: it was just handed out.
func age(issuedAt json.RawMessage, header http.Header, lifetime time.Duration, now time.Time) time.Duration {
	var issued time.Time
	if json.Unmarshal(issuedAt, &issued) != nil || issued.IsZero() {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	if a := now.Sub(issued); a > 0 && a < lifetime {
		return a
	}
	return 0
}

// Section: Signed API request

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
	auth, err := Sign(ctx, s, APIText(method, u.RequestURI()))
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

// APIText returns the text that is signed for a request to Ollama's API. The target
// is the path and the query of the request, "/api/tags?ts=1700000000".
func APIText(method, target string) []byte { return []byte(method + "," + target) }

// Section: Sign-in page

// SignInURL returns the address of the page where a person with an account at
// base adds key to the account: "<base>/connect?name=<name>&key=<key>". The base
// is "https://ollama.com" or another http or https URL, with or without a path.
// The page shows name as the name of this machine; [os.Hostname] returns a fitting
// one. For a name of letters, digits, "-" and "." the result is the URL that
// Ollama prints; SignInURL also escapes "&", "+" and the like, which Ollama does
// not.
//
// An error does not repeat base, because base may hold a password.
func SignInURL(base string, key ssh.PublicKey, name string) (string, error) {
	return signInURL(base, key, "name="+escape(name), "")
}

// AppSignInURL returns the address that Ollama's desktop app opens: that of [SignInURL]
// with a space in name written as "+", and with "&launch=true", which makes the page
// start Ollama's app afterwards.
//
// Source: Ollama's app/auth/connect.go, BuildConnectURL.
func AppSignInURL(base string, key ssh.PublicKey, name string) (string, error) {
	return signInURL(base, key, "name="+url.QueryEscape(name), "&launch=true")
}

func signInURL(base string, key ssh.PublicKey, name, launch string) (string, error) {
	u, err := serverURL(base)
	if err != nil {
		return "", err
	}
	u = u.JoinPath("connect")
	u.RawQuery = name + "&key=" + encodeLine(key) + launch
	return u.String(), nil
}

// serverURL reads the URL of a server that has accounts.
func serverURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("the sign-in page's base is no http or https URL with a host: give one such as https://ollama.com")
	case u.User != nil:
		return nil, errors.New("the sign-in page's base holds a user name or password: leave it out")
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, errors.New(`the sign-in page's base holds a query or a fragment: end it before the "?" or "#"`)
	}
	return u, nil
}

// encodeLine returns the key as the sign-in page and the API have it in their URLs.
func encodeLine(key ssh.PublicKey) string {
	return base64.RawURLEncoding.EncodeToString([]byte(signer.AuthorizedKey(key)))
}

// escape writes a space as %20, as Ollama's server does. The server's own function,
// url.PathEscape, leaves "&" and "+" unescaped, which a query must not contain.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Section: Sign-out

// SignOutURL returns the URL that a signed DELETE request removes key from its account
// with: "<base>/api/user/keys/<key>". The base and the errors are those of [SignInURL].
//
// Source: Ollama's api/client.go, Disconnect.
func SignOutURL(base string, key ssh.PublicKey) (string, error) {
	u, err := serverURL(base)
	if err != nil {
		return "", err
	}
	return u.JoinPath("api/user/keys", encodeLine(key)).String(), nil
}
