package registry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/forward"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/gate/watch"
	"github.com/countersign/countersign/internal/printable"
)

// The lifetimes of the address of a blob. Ollama fetches the redirect once for each
// blob and then retries the same address, so it must last for a slow pull.
const (
	minBlobLife = time.Hour
	maxBlobLife = 24 * time.Hour
	slowest     = 1 << 20 // bytes per second of a slow pull
)

// SecretSize is the length in bytes of the secret that authenticates the addresses of
// blobs.
const SecretSize = 32

// A Secret has the key of the MAC in the addresses of blobs. The key is in a function,
// so that nothing that prints a Secret prints the key.
type Secret struct{ mac func(parts ...string) []byte }

// ParseSecret reads a secret: 32 random bytes in base64. Errors do not repeat it.
func ParseSecret(data []byte) (*Secret, error) {
	key, err := base64.StdEncoding.DecodeString(string(trimSpace(data)))
	if err != nil || len(key) != SecretSize {
		return nil, errors.New("no secret of 32 bytes in base64 in it: countersignd init makes one")
	}
	return &Secret{func(parts ...string) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
			h.Write([]byte(p))
		}
		return h.Sum(nil)
	}}, nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}

// Blobs makes addresses of blobs on the second host name of a site.
type Blobs struct {
	site   *site.Site
	secret *watch.File[*Secret]
}

// NewBlobs reads the secret of a site.
func NewBlobs(s *site.Site) (*Blobs, error) {
	path := s.Config.Tokens.BlobSecret
	secret, err := watch.Open(path, func(data []byte) (*Secret, error) {
		secret, err := ParseSecret(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", printable.Text(path), err)
		}
		return secret, nil
	})
	return &Blobs{s, secret}, err
}

// Files returns the files to look at.
func (b *Blobs) Files() []watch.Watched { return []watch.Watched{b.secret} }

// address returns the address of a blob for the owner of a key.
func (b *Blobs) address(repository, digest, key string, size int64, now time.Time) string {
	life := min(max(minBlobLife, time.Duration(size/slowest)*time.Second), maxBlobLife)
	expires := strconv.FormatInt(now.Add(life).Unix(), 10)
	u := b.site.Config.Blobs.URL()
	u.Path = "/v2/" + repository + "/blobs/" + digest
	u.RawQuery = url.Values{
		"expires": {expires},
		"key":     {key},
		"mac":     {b.mac(repository, digest, key, expires)},
	}.Encode()
	return u.String()
}

func (b *Blobs) mac(repository, digest, key, expires string) string {
	sum := b.secret.Get().mac(b.site.Config.Origin.String(), repository, digest, key, expires)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// check returns the key in the query of an address of a blob that is authentic and
// valid now.
func (b *Blobs) check(where route, rawQuery string, now time.Time) (key string, err error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil || len(query) != 3 || len(query["expires"]) != 1 || len(query["key"]) != 1 || len(query["mac"]) != 1 {
		return "", errors.New("not the address of a blob")
	}
	key, expires := query.Get("key"), query.Get("expires")
	if want := b.mac(where.repository, where.reference, key, expires); !hmac.Equal([]byte(want), []byte(query.Get("mac"))) {
		return "", errors.New("the address of the blob is not one of this gate")
	}
	end, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || !now.Before(time.Unix(end, 0)) {
		return "", errors.New("the address of the blob has expired")
	}
	return key, nil
}

// redirect sends the client to the second host name if the registry has the blob for
// the client's own token. Otherwise it returns false.
func (r *Registry) redirect(c *site.Call, w http.ResponseWriter, req *http.Request, where route, claims *token.Claims) bool {
	res, err := r.ask(req.Context(), http.MethodHead, c.Request.Path, req.Header.Get("Authorization"))
	if err != nil {
		return false // the proxy tells the client
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false
	}
	c.Grant(http.StatusTemporaryRedirect)
	w.Header().Set("Location", r.blobs.address(where.repository, where.reference, claims.Key, res.ContentLength, c.Now))
	w.Header().Set("Docker-Content-Digest", where.reference)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTemporaryRedirect)
	return true
}

// BlobHandler returns the handler of the second host name. It refuses without a body,
// because a client may take the body for the blob.
func (r *Registry) BlobHandler() http.Handler {
	proxy := (&forward.Proxy{
		Upstream:  r.site.Config.Registry,
		Transport: r.transport,
		Prepare: func(in, out *http.Request) {
			out.URL.RawQuery = ""
			out.Header.Set("Authorization", in.Header.Get("Authorization"))
		},
		ModifyResponse: withoutErrorBody,
		Silent:         true,
		Failed: func(_ *http.Request, err error) {
			r.site.Report("the registry behind "+r.site.Config.Origin.String(), err)
		},
	}).Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := r.site.StartSilently(w, req)
		if c == nil {
			return
		}
		raw, ok := r.admitBlob(c, w, req)
		if !ok {
			return
		}
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+raw)
		c.Pass(proxy, w, req)
	})
}

// withoutErrorBody removes the body of a refusal of the registry, and its challenge.
func withoutErrorBody(res *http.Response) error {
	if res.StatusCode < http.StatusBadRequest {
		return nil
	}
	res.Body.Close()
	res.Body = http.NoBody
	res.Header.Set("Content-Length", "0")
	res.Header.Del("Content-Type")
	res.Header.Del("WWW-Authenticate")
	return nil
}

// admitBlob returns a token of the gate itself for a blob that the client may fetch.
func (r *Registry) admitBlob(c *site.Call, w http.ResponseWriter, req *http.Request) (string, bool) {
	where, ok := parseRoute(c.Request.Path)
	if !ok || where.kind != blobs || req.Method != http.MethodGet && req.Method != http.MethodHead {
		c.Refuse(http.StatusNotFound, "", "only blobs are here")
		return "", false
	}
	key, err := r.blobs.check(where, c.Request.RawQuery, c.Now)
	if err != nil {
		c.Refuse(http.StatusForbidden, "", err.Error())
		return "", false
	}
	name, ok := c.IdentifyToken(&token.Claims{Key: key})
	if !ok {
		return "", false
	}
	access := []scope.Access{{Type: scope.Repository, Name: where.repository, Actions: []string{scope.Pull}}}
	c.Note(func(d *audit.Decision) { d.Access = access })
	if len(r.site.Grants.Get().Intersect(name, access)) == 0 {
		c.Refuse(http.StatusForbidden, "", "the grant for "+access[0].String()+" has ended")
		return "", false
	}
	raw, err := r.own.get(req.Context(), access)
	if err != nil {
		r.site.Report("signing a token", err)
		c.Refuse(http.StatusServiceUnavailable, "", "no token can be signed now")
		return "", false
	}
	return raw, true
}

// ownTokens makes the tokens with which the gate itself asks the registry. The clients
// never see them.
type ownTokens struct {
	site *site.Site

	mu     sync.Mutex
	tokens map[string]ownToken // by access
}

type ownToken struct {
	raw    string
	issuer *token.Issuer
	renew  time.Time
}

// maxOwnTokens is the number of tokens that are kept.
const maxOwnTokens = 1000

// get returns a token for access that is valid for a while.
func (o *ownTokens) get(ctx context.Context, access []scope.Access) (string, error) {
	id, now := fmt.Sprint(access), o.site.Now()
	o.mu.Lock()
	t, ok := o.tokens[id]
	o.mu.Unlock()
	if ok && now.Before(t.renew) && t.issuer == o.site.Tokens.Issuer() {
		return t.raw, nil
	}
	issuer := o.site.Tokens.Issuer()
	raw, claims, err := o.site.Tokens.Sign(ctx, token.Claims{Subject: "countersignd", Access: access}, now)
	if err != nil {
		return "", err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tokens == nil || len(o.tokens) >= maxOwnTokens {
		o.tokens = map[string]ownToken{}
	}
	o.tokens[id] = ownToken{raw, issuer, now.Add(claims.Expires.Time().Sub(now) / 2)}
	return raw, nil
}
