// Package site has the parts that all handlers of a public origin share: whose keys
// are known, what they may do, and the record of each decision.
package site

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/front"
	"github.com/countersign/countersign/gate/grants"
	"github.com/countersign/countersign/gate/limit"
	"github.com/countersign/countersign/gate/nonce"
	"github.com/countersign/countersign/gate/pubkey"
	"github.com/countersign/countersign/gate/reply"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/gate/verify"
	"github.com/countersign/countersign/gate/watch"
)

// A Site is a public origin. Its fields do not change after the first request.
type Site struct {
	Config config.Site
	Keys   *authkeys.Store
	Grants *watch.File[*grants.Grants]
	Tokens *token.Store // nil if the site has no token endpoint
	Nonces nonce.Store
	Window verify.Window // of token requests
	Limits *Limits

	// Running has the requests of all sites that are passed on now.
	Running *Running

	// Record gets each decision. It must not block for long.
	Record func(audit.Decision)

	// Report gets each failure of the gate itself, or of a server behind it.
	Report func(what string, err error)

	// Now is the clock.
	Now func() time.Time
}

// Limits are the rates of all sites together.
type Limits struct {
	Addresses *limit.Limiter[netip.Prefix]
	Keys      *limit.Limiter[pubkey.ID]
}

// A Call is a request about which one decision is made.
type Call struct {
	Site    *Site
	Request front.Request
	Now     time.Time // when the header of the request arrived

	w        http.ResponseWriter
	entry    authkeys.Entry // of the client's key, after Identify; zero for an anonymous client
	silent   bool           // refusals have no body
	decision audit.Decision
}

// Start begins the decision about a request. It returns nil after it has refused the
// request, because too many come from its address.
func (s *Site) Start(w http.ResponseWriter, r *http.Request) *Call { return s.start(w, r, false) }

// StartSilently is Start for a resource whose refusals have no body.
func (s *Site) StartSilently(w http.ResponseWriter, r *http.Request) *Call {
	return s.start(w, r, true)
}

func (s *Site) start(w http.ResponseWriter, r *http.Request, silent bool) *Call {
	request, now := front.Of(r.Context()), s.Now()
	c := &Call{Site: s, Request: request, Now: now, w: w, silent: silent, decision: audit.Decision{
		Time: now, Address: request.Address.String(), Site: s.Config.Origin.String(), Method: r.Method, Path: request.Path,
	}}
	if !s.Limits.Addresses.Allow(limit.Network(request.Address)) {
		c.refuseTooMany("address")
		return nil
	}
	return c
}

func (c *Call) refuseTooMany(of string) {
	c.w.Header().Set("Retry-After", "1")
	c.Refuse(http.StatusTooManyRequests, reply.TooManyRequests, "too many requests of this "+of)
}

// Identify notes who sent the request: the owner of a key that the client proved. It
// returns false after it has refused the request: the key is not enrolled, may not be
// used now or from there, or sends too many requests.
func (c *Call) Identify(key ssh.PublicKey) (name string, ok bool) {
	c.decision.Key = ssh.FingerprintSHA256(key)
	entry, err := c.Site.Keys.Find(key, c.Request.Address, c.Now)
	return c.identify(entry, err)
}

// IdentifyToken is Identify for the key that got a token. Tokens of anonymous clients
// have no key.
func (c *Call) IdentifyToken(claims *token.Claims) (name string, ok bool) {
	if claims.Key == "" {
		return grants.Anonymous, true
	}
	c.decision.Key = claims.Key
	entry, err := c.Site.Keys.FindFingerprint(claims.Key, c.Request.Address, c.Now)
	return c.identify(entry, err)
}

func (c *Call) identify(entry authkeys.Entry, err error) (string, bool) {
	c.decision.Name = entry.Name
	if err != nil {
		message := err.Error()
		if errors.Is(err, authkeys.ErrUnknown) {
			message += ": ask the operator of " + c.Request.Origin + " to enrol it"
		}
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, message)
		return "", false
	}
	if !c.Site.Limits.Keys.Allow(entry.ID) {
		c.refuseTooMany("key")
		return "", false
	}
	c.entry = entry
	return entry.Name, true
}

// KeyID returns the identity of the key of the client, after Identify; "" for an anonymous
// client.
func (c *Call) KeyID() pubkey.ID { return c.entry.ID }

// Fingerprint returns the fingerprint of that key, or "".
func (c *Call) Fingerprint() string { return c.decision.Key }

// Note lets the caller complete the record of the decision.
func (c *Call) Note(note func(*audit.Decision)) { note(&c.decision) }

// Grant records that the request is granted. The status is that of the reply as far as
// it is known. The rest of the request's body may arrive at any speed.
func (c *Call) Grant(status int) {
	front.AdmitBody(c.w)
	c.decision.Granted, c.decision.Status, c.decision.Reason = true, status, ""
	if slices.EqualFunc(c.decision.Asked, c.decision.Access, func(a, b scope.Access) bool { return a.String() == b.String() }) {
		c.decision.Asked = nil
	}
	c.Site.Record(c.decision)
}

// Refuse records that the request is refused, and replies with an error.
func (c *Call) Refuse(status int, code, message string) {
	c.refused(status, message)
	if c.silent {
		c.w.WriteHeader(status)
		return
	}
	if c.decision.Method == http.MethodHead {
		reply.Warn(c.w, message)
	}
	reply.Error(c.w, status, code, message)
}

// RefuseKey records that the request of a proved key is refused. The caller replies.
func (c *Call) RefuseKey(status int, key ssh.PublicKey, reason string) {
	c.decision.Key = ssh.FingerprintSHA256(key)
	c.refused(status, reason)
}

func (c *Call) refused(status int, reason string) {
	c.decision.Granted, c.decision.Status, c.decision.Reason = false, status, reason
	c.Site.Record(c.decision)
}

// Bearer returns the token of an Authorization field, and false for another scheme and
// for a signature, which some endpoints of Ollama send as a Bearer token.
func Bearer(authorization string) (string, bool) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	return rest, strings.EqualFold(scheme, "Bearer") && rest != "" && !strings.Contains(rest, ":")
}

// Challenge returns the value of WWW-Authenticate that asks for a token of the site
// with a scope. The reason is an error code of RFC 6750, section 3.1, or "".
func (c *Call) Challenge(scope, reason string) string {
	line := `Bearer realm="` + c.Request.Origin + TokenPath + `",service="` + c.Site.Config.Service() + `"`
	if scope != "" {
		line += `,scope="` + scope + `"`
	}
	if reason != "" {
		line += `,error="` + reason + `"`
	}
	return line
}

// TokenPath is the path of the token endpoint.
const TokenPath = "/token"
