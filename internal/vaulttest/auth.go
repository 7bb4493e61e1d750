package vaulttest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

func newSecret(prefix string) string { return prefix + rand.Text() }

// A token is what the server knows about a token.
type token struct {
	policies  []string
	from      string        // the login, such as "auth/approle/login"; "" if another token made it
	life      time.Duration // of each renewal
	expires   time.Time     // zero: never
	longest   time.Time     // after which it is not renewed; zero: no limit
	renewable bool
}

func (t *token) isOver(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// extend sets the end of a token from now, within its longest life.
func (t *token) extend(now time.Time) {
	if t.life == 0 {
		return
	}
	t.expires = now.Add(t.life)
	if !t.longest.IsZero() && t.expires.After(t.longest) {
		t.expires = t.longest
	}
}

func (t *token) secondsLeft(now time.Time) int {
	if t.expires.IsZero() {
		return 0
	}
	return int(t.expires.Sub(now).Round(time.Second) / time.Second)
}

// issue makes a token and returns the reply that tells it.
func (s *Server) issue(t *token, life, longest time.Duration) reply {
	t.life, t.renewable = life, life > 0
	if longest > 0 {
		t.longest = s.now().Add(longest)
	}
	t.extend(s.now())
	secret := newSecret("hvs.")
	s.tokens[secret] = t
	return s.authReply(secret, t)
}

func (s *Server) authReply(secret string, t *token) reply {
	return reply{http.StatusOK, map[string]any{"auth": map[string]any{
		"client_token": secret, "policies": t.policies, "lease_duration": t.secondsLeft(s.now()), "renewable": t.renewable,
	}}}
}

func (s *Server) tokenCall(path string, r *request) reply {
	switch path {
	case "create":
		var policies []string
		for _, p := range r.body["policies"].([]any) {
			policies = append(policies, p.(string))
		}
		life, _ := time.ParseDuration(r.text("ttl"))
		longest, _ := time.ParseDuration(r.text("explicit_max_ttl"))
		return s.issue(&token{policies: policies}, life, longest)
	case "lookup-self":
		return data(map[string]any{"ttl": r.token.secondsLeft(s.now()), "renewable": r.token.renewable})
	case "renew-self":
		if !r.token.renewable {
			return fail(http.StatusBadRequest, "lease is not renewable")
		}
		r.token.extend(s.now())
		return s.authReply(r.secret, r.token)
	case "revoke":
		delete(s.tokens, r.text("token"))
		return done
	}
	return absent
}

func (s *Server) revokeLogins(prefix string) {
	for secret, t := range s.tokens {
		if strings.HasPrefix(t.from, prefix) {
			delete(s.tokens, secret)
		}
	}
}

// A role is a role of a login method.
type role struct {
	id            string
	secrets       []string // of an AppRole
	accounts      []string // of Kubernetes: the names of service accounts
	policies      []string
	life, longest time.Duration
}

func (s *Server) configureMethod(roles map[string]*role, path []string, r *request) reply {
	if path[0] != "role" || len(path) < 2 { // the configuration of a method
		return done
	}
	known := roles[path[1]]
	switch {
	case len(path) == 2:
		life, _ := time.ParseDuration(r.text("token_ttl"))
		longest, _ := time.ParseDuration(r.text("token_max_ttl"))
		roles[path[1]] = &role{
			id: newSecret(""), life: life, longest: longest, policies: strings.Split(r.text("token_policies"), ","),
			accounts: strings.Split(r.text("bound_service_account_names"), ","),
		}
		return done
	case known == nil:
		return absent
	case path[2] == "role-id":
		return data(map[string]any{"role_id": known.id})
	case path[2] == "secret-id":
		secret := newSecret("")
		known.secrets = append(known.secrets, secret)
		return data(map[string]any{"secret_id": secret})
	}
	return absent
}

func (s *Server) login(mount string, r *request) reply {
	roles, ok := s.methods[mount]
	if !ok {
		return noRoute(r)
	}
	if name := r.text("role"); name != "" {
		return s.kubernetesLogin(mount, roles[name], r)
	}
	for _, role := range roles {
		switch secret := r.text("secret_id"); {
		case role.id != r.text("role_id"):
			continue
		case secret == "":
			return fail(http.StatusBadRequest, "missing secret_id")
		case !slices.Contains(role.secrets, secret):
			return fail(http.StatusInternalServerError, "invalid secret id")
		}
		return s.issue(&token{policies: role.policies, from: "auth/" + mount + "/login"}, role.life, role.longest)
	}
	return fail(http.StatusBadRequest, "invalid role ID")
}

// kubernetesLogin reads the name of the service account in a JWT. The real method asks
// the Kubernetes API whether the JWT is good.
func (s *Server) kubernetesLogin(mount string, role *role, r *request) reply {
	switch {
	case role == nil:
		return fail(http.StatusBadRequest, "invalid role name \""+r.text("role")+"\"")
	case !slices.Contains(role.accounts, accountOf(r.text("jwt"))):
		return fail(http.StatusForbidden, "service account name not authorized")
	}
	return s.issue(&token{policies: role.policies, from: "auth/" + mount + "/login"}, role.life, role.longest)
}

// accountOf returns the name in "system:serviceaccount:NAMESPACE:NAME", the subject of a
// service account's JWT.
func accountOf(jwt string) string {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return ""
	}
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var form struct {
		Subject string `json:"sub"`
	}
	_ = json.Unmarshal(claims, &form)
	return form.Subject[strings.LastIndexByte(form.Subject, ':')+1:]
}

// A policy has capabilities for each path, which may end in "*".
type policy map[string][]string

// parsePolicy reads the JSON form of a policy.
func parsePolicy(text string) (policy, error) {
	var form struct {
		Path map[string]struct {
			Capabilities []string `json:"capabilities"`
		} `json:"path"`
	}
	err := json.Unmarshal([]byte(text), &form)
	p := policy{}
	for path, rule := range form.Path {
		p[path] = rule.Capabilities
	}
	return p, err
}

// allows reports whether a token may make a request.
func (s *Server) allows(t *token, r *request) bool {
	capability := map[string]string{
		http.MethodGet: "read", "LIST": "list", http.MethodPost: "update", http.MethodDelete: "delete",
	}[r.method]
	if strings.HasSuffix(r.path, "-self") { // the policy "default"
		return true
	}
	for _, name := range t.policies {
		if name == "root" {
			return true
		}
		for path, capabilities := range s.policies[name] {
			prefix, isPrefix := strings.CutSuffix(path, "*")
			matches := r.path == path || isPrefix && strings.HasPrefix(r.path, prefix)
			if matches && slices.Contains(capabilities, capability) {
				return true
			}
		}
	}
	return false
}
