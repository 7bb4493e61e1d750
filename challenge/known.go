package challenge

import (
	"net/http"
	"strings"
	"sync"
)

// maxKnown bounds what a Transport remembers of challenges.
const maxKnown = 1000

// A place is what a registry challenges for: reading or writing one repository,
// or whatever is not in any.
type place struct {
	origin string
	repo   string
	write  bool
}

// known remembers what origins asked for. The zero value is empty.
type known struct {
	mu     sync.Mutex
	places map[place]ask
	guess  map[string]ask // by origin: asks for one repository, as for another
}

// placeOf follows the paths of the OCI distribution specification:
// /v2/<name>/(manifests|blobs|tags|referrers)/...
func placeOf(from origin, req *http.Request) place {
	p := place{origin: from.String(), write: req.Method != http.MethodGet && req.Method != http.MethodHead && req.Method != ""}
	rest, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	if !ok {
		return p
	}
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(rest, kind); i > 0 {
			p.repo = rest[:i]
			return p
		}
	}
	return p
}

// at returns what will be asked for at p: what was asked last time or, where
// nothing was, a guess after what was asked for another repository.
func (k *known) at(p place) (a ask, guessed, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a, ok = k.places[p]; ok {
		return a, false, true
	}
	if a, ok = k.guess[p.origin]; ok && p.repo != "" {
		return a.withScope(repositoryScope(p.repo, p.write)), true, true
	}
	return ask{}, false, false
}

// learn remembers that a was asked for at p.
func (k *known) learn(p place, a ask) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.places == nil || len(k.places) >= maxKnown {
		k.places = map[place]ask{}
	}
	if k.guess == nil || len(k.guess) >= maxKnown {
		k.guess = map[string]ask{}
	}
	k.places[p] = a
	if p.repo != "" && a.normal == repositoryScope(p.repo, p.write) {
		k.guess[p.origin] = a
	}
}
