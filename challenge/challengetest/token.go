package challengetest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// window is the largest difference between the ts of a signed request and the
// registry's clock.
const window = 5 * time.Minute

// emptyHash is the last field of the text that an exchange signs: the base64 of the
// hexadecimal text of SHA-256 of the empty body.
var emptyHash = func() string {
	sum := sha256.Sum256(nil)
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}()

// An issuer remembers used nonces and issued tokens.
type issuer struct {
	mu     sync.Mutex
	nonces recent[struct{}]
	tokens recent[grant]
}

// A grant holds the accesses of a token.
type grant struct {
	access  []string // such as "repository:library/llama3:pull"
	expires time.Time
}

func newIssuer(ttl time.Duration) issuer {
	return issuer{
		nonces: recent[struct{}]{keep: 2 * window}, // from window ahead to window behind
		tokens: recent[grant]{keep: ttl},
	}
}

// RevokeAll makes all issued tokens invalid.
func (r *Registry) RevokeAll() {
	r.tokens.mu.Lock()
	defer r.tokens.mu.Unlock()
	r.tokens.tokens.clear()
}

// serveToken exchanges a signature for a token.
func (r *Registry) serveToken(w http.ResponseWriter, req *http.Request) {
	access, refused := r.checkExchange(req)
	if refused != nil {
		refused.write(w)
		return
	}
	token, now := rand.Text(), r.config.Now()
	r.tokens.issue(now, token, grant{access, now.Add(r.config.TTL)})
	r.parts.count(func(s *Stats) { s.Tokens++ })
	writeJSON(w, http.StatusOK, map[string]any{
		"token":      token,
		"expires_in": int(r.config.TTL.Seconds()),
		"issued_at":  now.UTC().Format(time.RFC3339),
	})
}

// checkExchange checks a signed request for a token and returns the accesses that
// it is granted.
func (r *Registry) checkExchange(req *http.Request) ([]string, *refusal) {
	if req.Method != http.MethodGet {
		return nil, refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "the token endpoint answers GET only")
	}
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "UNSUPPORTED", "malformed query")
	}
	key, refused := r.checkSignature(req.Header.Get("Authorization"), "GET,"+r.signedURL(req)+","+emptyHash)
	if refused != nil {
		return nil, refused
	}
	if refused := r.checkTime(query); refused != nil {
		return nil, refused
	}
	if refused := r.checkQuery(query); refused != nil {
		return nil, refused
	}
	if !r.tokens.firstUse(r.config.Now(), query.Get("nonce")) {
		return nil, refuse(http.StatusUnauthorized, "UNAUTHORIZED", "nonce missing or already used")
	}
	return r.granted(key, query["scope"])
}

// signedURL returns the URL that the client signed: the realm of the challenge and
// the query of the request, unchanged. The realm may have no path although the
// request has "/".
func (r *Registry) signedURL(req *http.Request) string {
	realm, _, _ := strings.Cut(r.realm, "?")
	return realm + "?" + req.URL.RawQuery
}

func (r *Registry) checkTime(query url.Values) *refusal {
	ts, err := strconv.ParseInt(query.Get("ts"), 10, 64)
	if err != nil {
		return refuse(http.StatusBadRequest, "UNSUPPORTED", "ts missing or not in Unix seconds")
	}
	if off := r.config.Now().Sub(time.Unix(ts, 0)).Abs(); off > window {
		return refuse(http.StatusUnauthorized, "UNAUTHORIZED", "ts differs by "+off.String()+" from the time here; "+window.String()+" are allowed")
	}
	return nil
}

// checkQuery checks that the query repeats the service of the challenge and the
// realm's own query.
func (r *Registry) checkQuery(query url.Values) *refusal {
	if query.Get("service") != r.config.Service {
		return refuse(http.StatusBadRequest, "UNSUPPORTED", "the service is not the one of the challenge")
	}
	_, own, _ := strings.Cut(r.realm, "?")
	want, _ := url.ParseQuery(own)
	for name, values := range want {
		for _, v := range values {
			if !slices.Contains(query[name], v) {
				return refuse(http.StatusBadRequest, "UNSUPPORTED", "the query of the realm is missing")
			}
		}
	}
	return nil
}

// granted returns all accesses in scopes, or a refusal if key may not have one.
func (r *Registry) granted(key ssh.PublicKey, scopes []string) ([]string, *refusal) {
	var all []string
	for _, scope := range strings.Fields(strings.Join(scopes, " ")) {
		for _, access := range accesses(scope) {
			if r.config.Grant != nil && !r.config.Grant(key, access) {
				return nil, refuse(http.StatusForbidden, "DENIED", "this key may not have "+access)
			}
			all = append(all, access)
		}
	}
	return all, nil
}

// accesses splits "repository:NAME:pull,push" into one access for each action
// (distribution, docs/content/spec/auth/scope.md). Another scope is one access.
func accesses(scope string) []string {
	i := strings.LastIndexByte(scope, ':')
	if i < 0 || strings.Count(scope, ":") < 2 {
		return []string{scope}
	}
	var all []string
	for action := range strings.SplitSeq(scope[i+1:], ",") {
		all = append(all, scope[:i+1]+action)
	}
	return all
}

func (s *issuer) issue(now time.Time, token string, g grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.put(now, token, g)
}

func (s *issuer) find(token string) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens.get(token)
}

func (s *issuer) firstUse(now time.Time, nonce string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.nonces.get(nonce); used || nonce == "" {
		return false
	}
	s.nonces.put(now, nonce, struct{}{})
	return true
}
