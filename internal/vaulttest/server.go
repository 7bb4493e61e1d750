// Package vaulttest is a fake of HashiCorp Vault and OpenBao for tests: the transit
// engine, tokens, policies and two login methods, with the answers that Vault 1.14.0
// gives. scripts/vault runs the same tests on the real server.
package vaulttest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Server is an http.Handler. The zero value is not ready: use New.
type Server struct {
	// Root is a token that may do everything.
	Root string

	// WarnsOfExisting makes the answer to the creation of a key that exists a success
	// with a warning. In 1.14.0 a mistake keeps the warning back.
	WarnsOfExisting bool

	mu       sync.Mutex
	now      func() time.Time
	sealed   bool
	engines  map[string]map[string]*key // by mount and name
	tokens   map[string]*token
	policies map[string]policy
	methods  map[string]map[string]*role // login roles by mount and name
}

// New returns a server without an engine. now is its clock; nil is the real one.
func New(now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}
	s := &Server{
		now:      now,
		engines:  map[string]map[string]*key{},
		tokens:   map[string]*token{},
		policies: map[string]policy{},
		methods:  map[string]map[string]*role{},
	}
	s.Root = newSecret("hvs.")
	s.tokens[s.Root] = &token{policies: []string{"root"}}
	return s
}

// AddEngine mounts a transit engine without keys.
func (s *Server) AddEngine(mount string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engines[mount] = map[string]*key{}
}

// A request is a request to the API, decoded.
type request struct {
	method, path string
	body         map[string]any
	query        map[string]string
	secret       string // the token itself
	token        *token
}

func (r *request) text(name string) string { s, _ := r.body[name].(string); return s }

func (r *request) number(name string) int { n, _ := r.body[name].(float64); return int(n) }

func (r *request) is(name string) bool {
	switch v := r.body[name].(type) {
	case bool:
		return v
	case string:
		return v == "true"
	}
	return false
}

// A reply is a status and a body.
type reply struct {
	status int
	body   any // nil: none
}

func fail(status int, texts ...string) reply {
	if texts == nil {
		texts = []string{}
	}
	return reply{status, map[string]any{"errors": texts}}
}

// mistake is the reply to a caller's mistake that the server takes for its own.
func mistake(text string) reply {
	return fail(http.StatusInternalServerError, "1 error occurred:\n\t* "+text+"\n\n")
}

func data(v any) reply { return reply{http.StatusOK, map[string]any{"data": v}} }

var (
	done   = reply{http.StatusNoContent, nil}
	denied = fail(http.StatusForbidden, "permission denied")
	absent = fail(http.StatusNotFound)
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := &request{method: req.Method, path: strings.TrimPrefix(req.URL.Path, "/v1/"), query: map[string]string{}, secret: req.Header.Get("X-Vault-Token")}
	if req.Method == http.MethodPut {
		r.method = http.MethodPost
	}
	for name := range req.URL.Query() {
		r.query[name] = req.URL.Query().Get(name)
	}
	if r.query["list"] == "true" {
		r.method = "LIST"
	}
	var answer reply
	if err := json.NewDecoder(req.Body).Decode(&r.body); err != nil && req.ContentLength != 0 {
		answer = fail(http.StatusBadRequest, "error parsing JSON")
	} else {
		answer = s.answer(r)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(answer.status)
	if answer.body != nil {
		_ = json.NewEncoder(w).Encode(answer.body) // the client may have left
	}
}

func (s *Server) answer(r *request) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.path == "sys/seal-status" {
		return reply{http.StatusOK, map[string]any{"type": "shamir", "initialized": true, "sealed": s.sealed}}
	}
	if s.sealed {
		return fail(http.StatusServiceUnavailable, "Vault is sealed")
	}
	if mount, ok := strings.CutSuffix(r.path, "/login"); ok && strings.HasPrefix(mount, "auth/") {
		return s.login(strings.TrimPrefix(mount, "auth/"), r)
	}
	r.token = s.tokens[r.secret]
	switch {
	case r.token == nil || r.token.isOver(s.now()):
		return denied
	case !s.allows(r.token, r):
		return fail(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	}
	for mount, keys := range s.engines {
		if path, ok := strings.CutPrefix(r.path, mount+"/"); ok {
			return s.transit(keys, path, r)
		}
	}
	switch {
	case strings.HasPrefix(r.path, "auth/token/"):
		return s.tokenCall(strings.TrimPrefix(r.path, "auth/token/"), r)
	case strings.HasPrefix(r.path, "auth/"), strings.HasPrefix(r.path, "sys/"):
		return s.administer(r)
	}
	return noRoute(r)
}

func noRoute(r *request) reply {
	return fail(http.StatusNotFound, "no handler for route \""+r.path+"\". route entry not found.")
}

// administer answers the requests of an operator.
func (s *Server) administer(r *request) reply {
	parts := strings.Split(r.path, "/")
	switch {
	case r.path == "sys/seal":
		s.sealed = true
	case strings.HasPrefix(r.path, "sys/mounts/"):
		s.engines[strings.TrimPrefix(r.path, "sys/mounts/")] = map[string]*key{}
	case strings.HasPrefix(r.path, "sys/policies/acl/"):
		p, err := parsePolicy(r.text("policy"))
		if err != nil {
			return fail(http.StatusBadRequest, err.Error())
		}
		s.policies[parts[3]] = p
	case strings.HasPrefix(r.path, "sys/auth/"):
		s.methods[parts[2]] = map[string]*role{}
	case strings.HasPrefix(r.path, "sys/leases/revoke-prefix/"):
		s.revokeLogins(strings.TrimPrefix(r.path, "sys/leases/revoke-prefix/"))
	case len(parts) >= 3 && s.methods[parts[1]] != nil:
		return s.configureMethod(s.methods[parts[1]], parts[2:], r)
	default:
		return noRoute(r)
	}
	return done
}
