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
	origin  Origin
	repo    string
	actions string
}

// known remembers what origins asked for. The zero value is empty.
type known struct {
	mu     sync.Mutex
	places map[place]*ask
	guess  map[Origin]*ask // asks for one repository, as for another
}

// placeOf follows the paths of the OCI distribution specification:
// /v2/<name>/(manifests|blobs|tags|referrers)/<reference> and, under blobs,
// uploads/<reference>.
func placeOf(from Origin, req *http.Request) place {
	p := place{origin: from, actions: actionsOf(req.Method)}
	rest, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	if !ok {
		return p
	}
	rest, _ = cutLast(rest) // from the end: a reference is long and a name may be anything
	rest = strings.TrimSuffix(rest, "/uploads")
	name, kind := cutLast(rest)
	switch kind {
	case "manifests", "blobs", "tags", "referrers":
		if fitsScope(name) {
			p.repo = name
		}
	}
	return p
}

// cutLast parts a path at its last slash.
func cutLast(path string) (before, after string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// fitsScope reports whether name is spelt with what a scope can hold.
func fitsScope(name string) bool {
	for _, b := range []byte(name) {
		if (b < 'a' || b > 'z') && (b < '-' || b > '9') && b != '_' { // "-" to "9" are -./ and the digits
			return false
		}
	}
	return true
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
// nothing was, a guess after what was asked for another repository; nil if there
// is nothing to go by.
func (k *known) at(p place) *ask {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.places[p]; a != nil {
		return a
	}
	if a := k.guess[p.origin]; a != nil && p.repo != "" {
		a = a.withScope(repositoryScope(p.repo, p.actions))
		k.remember(p, a)
		return a
	}
	return nil
}

// forget is for what turned out to be so no longer.
func (k *known) forget(p place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.places, p)
	delete(k.guess, p.origin)
}

// learn remembers that a was asked for at p.
func (k *known) learn(p place, a *ask) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remember(p, a)
	if k.guess == nil || len(k.guess) >= maxKnown {
		k.guess = map[Origin]*ask{}
	}
	if p.repo != "" && a.normal == repositoryScope(p.repo, p.actions) {
		k.guess[p.origin] = a
	}
}

// remember is for when k.mu is held.
func (k *known) remember(p place, a *ask) {
	if k.places == nil || len(k.places) >= maxKnown {
		k.places = map[place]*ask{}
	}
	k.places[p] = a
}
