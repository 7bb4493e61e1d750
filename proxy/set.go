package proxy

import (
	"crypto/sha256"
	"sync"
)

// maxRemembered is the number of texts in a set. The server, or a client, chooses the texts,
// so it must not fill the memory.
const maxRemembered = 10_000

// A set is a set of texts of any length. It keeps only their SHA-256, so it has less than
// a megabyte. Its zero value is empty. It is safe for concurrent use.
type set struct {
	mu   sync.RWMutex
	sums map[[sha256.Size]byte]struct{}
}

func (s *set) has(text string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.sums[sha256.Sum256([]byte(text))]
	return ok
}

// add reports whether text is in the set now. A full set takes no new text.
func (s *set) add(text string) bool {
	sum := sha256.Sum256([]byte(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.sums[sum]; ok {
		return true
	}
	if len(s.sums) >= maxRemembered {
		return false
	}
	if s.sums == nil {
		s.sums = map[[sha256.Size]byte]struct{}{}
	}
	s.sums[sum] = struct{}{}
	return true
}

func (s *set) remove(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sums, sha256.Sum256([]byte(text)))
}

func (s *set) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sums)
}
