package challengetest

import (
	"context"
	"net/http"
	"sync"
)

// A Part of a registry counts its requests and can have faults.
type Part int

const (
	Resources  Part = iota // everything under /v2/ but the token endpoint
	Challenges             // the 401 that answers a request to Resources without a valid token
	Tokens                 // the token endpoint, at the realm
	API                    // signed requests, under /api/
	CDN                    // where requests for blobs are redirected
	numParts
)

// Stats counts what a registry has seen.
type Stats struct {
	Resources  int // requests for resources
	Challenges int // of those, answered with a 401
	Exchanges  int // requests at the token endpoint
	Tokens     int // of those, answered with a token
	API        int // signed requests
	CDN        int // requests that followed a redirect
	Signatures int // valid signatures, whatever became of their requests
}

type parts struct {
	mu     sync.Mutex // guards what follows
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

// Last returns the latest request at p, without its body, or nil. Headers and
// URL are as the client sent them. It must not be changed.
func (r *Registry) Last(p Part) *http.Request {
	r.parts.mu.Lock()
	defer r.parts.mu.Unlock()
	return r.parts.last[p]
}

// pass lets a request through to its part, past the fault that is due.
func (r *Registry) pass(p Part, h http.HandlerFunc, w http.ResponseWriter, req *http.Request) {
	seen := req.Clone(context.Background())
	seen.Body = http.NoBody
	r.parts.mu.Lock()
	*r.parts.stats.of(p)++
	r.parts.last[p] = seen
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

func (s *Stats) of(p Part) *int {
	return [numParts]*int{
		Resources:  &s.Resources,
		Challenges: &s.Challenges,
		Tokens:     &s.Exchanges,
		API:        &s.API,
		CDN:        &s.CDN,
	}[p]
}
