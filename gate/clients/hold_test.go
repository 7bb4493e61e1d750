package clients

import (
	"net/http"
	"strings"
	"sync"
)

// A hold is the way to the registry. It can stop in the middle of a blob.
type hold struct {
	registry http.Handler

	mu   sync.Mutex
	half chan struct{} // closed in the middle of the next blob; nil if none is held back
	goOn chan struct{}
}

// next holds the next blob back in its middle, where it closes half, until goOn is called.
func (h *hold) next() (half <-chan struct{}, goOn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.half, h.goOn = make(chan struct{}), make(chan struct{})
	return h.half, sync.OnceFunc(func() { close(h.goOn) })
}

// before sets the registry, and returns h.
func (h *hold) before(registry http.Handler) http.Handler {
	h.registry = registry
	return h
}

func (h *hold) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:") {
		h.mu.Lock()
		if h.half != nil {
			w = &heldWriter{w, h.half, h.goOn}
			h.half = nil
		}
		h.mu.Unlock()
	}
	h.registry.ServeHTTP(w, r)
}

// A heldWriter stops in the middle of its first Write.
type heldWriter struct {
	http.ResponseWriter
	half, goOn chan struct{}
}

func (w *heldWriter) Write(p []byte) (int, error) {
	if w.half == nil {
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p[:len(p)/2])
	if err != nil {
		return n, err
	}
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	close(w.half)
	w.half = nil
	<-w.goOn
	rest, err := w.ResponseWriter.Write(p[n:])
	return n + rest, err
}
