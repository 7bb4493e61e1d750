package challenge

import (
	"net/http"
	"strings"
	"sync"
)

// maxKnown bounds what a Transport remembers of challenges.
const maxKnown = 1000

// A place is what a registry challenges for: some actions on one repository, or
// on whatever is in none.
type place struct {
	origin  origin
	repo    string
	actions string
}

// known remembers what origins asked for. The zero value is empty.
type known struct {
	mu     sync.Mutex
	places map[place]ask
	guess  map[origin]ask // asks for one repository, as for another
}

// placeOf follows the paths of the OCI distribution specification:
// /v2/<name>/(manifests|blobs|tags|referrers)/...
func placeOf(from origin, req *http.Request) place {
	p := place{origin: from, actions: actionsOf(req.Method)}
	rest, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	if !ok {
		return p
	}
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(rest, kind); i > 0 {
			if strings.Trim(rest[:i], "abcdefghijklmnopqrstuvwxyz0123456789._-/") == "" { // what a scope can hold
				p.repo = rest[:i]
			}
			return p
		}
	}
	return p
}

// actionsOf follows distribution's registry.
func actionsOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, "":
		return "pull"
	case http.MethodDelete:
		return "delete"
	}
	return "pull,push"
}

// at returns what will be asked for at p: what was asked last time or, where
// nothing was, a guess after what was asked for another repository.
func (k *known) at(p place) (ask, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a, ok := k.places[p]; ok {
		return a, true
	}
	if a, ok := k.guess[p.origin]; ok && p.repo != "" {
		return a.withScope(repositoryScope(p.repo, p.actions)), true
	}
	return ask{}, false
}

// forget is for what turned out to be so no longer.
func (k *known) forget(p place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.places, p)
	delete(k.guess, p.origin)
}

// learn remembers that a was asked for at p.
func (k *known) learn(p place, a ask) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.places == nil || len(k.places) >= maxKnown {
		k.places = map[place]ask{}
	}
	if k.guess == nil || len(k.guess) >= maxKnown {
		k.guess = map[origin]ask{}
	}
	k.places[p] = a
	if p.repo != "" && a.normal == repositoryScope(p.repo, p.actions) {
		k.guess[p.origin] = a
	}
}
