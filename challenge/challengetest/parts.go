package challengetest

import (
	"context"
	"net/http"
	"sync"
)

// A Part is a group of endpoints. Each part counts its requests and can have faults.
type Part int

const (
	Resources  Part = iota // all paths under /v2/ except the token endpoint
	Challenges             // the 401 for a request to Resources without a valid token
	Tokens                 // the token endpoint at the realm
	API                    // signed requests under /api/
	CDN                    // the target of redirected requests for blobs
	numParts
)

// Stats counts the requests to a registry.
type Stats struct {
	Resources  int // requests for resources
	Challenges int // of those, answered with a 401
	Exchanges  int // requests at the token endpoint
	Tokens     int // of those, answered with a token
	API        int // signed requests
	CDN        int // requests that followed a redirect
	Signatures int // valid signatures, also of requests that were refused
}

type parts struct {
	mu     sync.Mutex // guards the other fields
	stats  Stats
	last   [numParts]*http.Request
	faults [numParts][]*planned
}

// Stats returns the counts so far. A request is counted when it arrives.
func (r *Registry) Stats() Stats {
	r.parts.mu.Lock()
	defer r.parts.mu.Unlock()
	return r.parts.stats
}

// Last returns the latest request at p without its body, or nil if there was none.
// Header and URL are those that the client sent. The caller must not change it.
func (r *Registry) Last(p Part) *http.Request {
	r.parts.mu.Lock()
	defer r.parts.mu.Unlock()
	return r.parts.last[p]
}

// servePart counts a request at p and serves it with h. If a fault of p is due, the
// fault serves it.
func (r *Registry) servePart(p Part, h http.HandlerFunc, w http.ResponseWriter, req *http.Request) {
	copied := req.Clone(context.Background()) // a fault may change req
	copied.Body = http.NoBody
	r.parts.mu.Lock()
	*r.parts.stats.counter(p)++
	r.parts.last[p] = copied
	fault := r.parts.nextFault(p)
	r.parts.mu.Unlock()

	w.Header().Set("Date", r.config.Now().UTC().Format(http.TimeFormat))
	if fault == nil {
		h(w, req)
		return
	}
	fault(h).ServeHTTP(w, req)
}

func (s *parts) count(add func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.stats)
}

func (s *Stats) counter(p Part) *int {
	return [numParts]*int{
		Resources:  &s.Resources,
		Challenges: &s.Challenges,
		Tokens:     &s.Exchanges,
		API:        &s.API,
		CDN:        &s.CDN,
	}[p]
}
