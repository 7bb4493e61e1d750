package main

import (
	"fmt"
	"runtime"
	"testing"
)

const (
	scopes = 10_000 // repositories that one client reads, as a mirror does
	passes = 3      // over all of them

	// maxHeld is what countersign's Client may hold, and a fifth for the maps.
	maxHeld = 32 << 20 * 6 / 5
)

// A mirror is what a client took to read so many repositories in so many passes.
type mirror struct {
	exchanges int
	held      uint64 // bytes of heap at the end
}

func runMirror(tb testing.TB, c client, scopes, passes int) mirror {
	tb.Helper()
	p := &stubRegistry{realm: stubURL + "/token"}
	pull := c.connect(tb, p.site(tb))
	before := heap()
	for range passes {
		for i := range scopes {
			for _, err := range pull(tb.Context(), fmt.Sprintf("library/model%d", i), 1) {
				tb.Fatal(err)
			}
		}
	}
	after := heap()
	runtime.KeepAlive(pull)
	return mirror{p.exchanges, max(after, before) - before}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what sync.Pool holds survives the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// clientsWithScopes are the clients that keep tokens by scope. A regclient has one
// token for all scopes, and asks for all of them again for each new one.
func clientsWithScopes() []client {
	var all []client
	for _, c := range clients() {
		if c.name != "regclient" && c.name != ollamaX {
			all = append(all, c)
		}
	}
	return all
}

func TestMirror(t *testing.T) {
	m := runMirror(t, clients()[0], scopes, passes)
	t.Logf("%d exchanges and %d bytes for %d scopes in %d passes", m.exchanges, m.held, scopes, passes)
	if m.exchanges != scopes || m.held > maxHeld {
		t.Errorf("%d exchanges and %d bytes, want %d and at most %d", m.exchanges, m.held, scopes, maxHeld)
	}
}

// TestMirrorOfManyScopes: memory is limited, however many scopes there are.
func TestMirrorOfManyScopes(t *testing.T) {
	m := runMirror(t, clients()[0], 5*scopes, 1)
	t.Logf("%d bytes for %d scopes", m.held, 5*scopes)
	if m.held > maxHeld {
		t.Errorf("%d bytes for %d scopes, want at most %d", m.held, 5*scopes, maxHeld)
	}
}

func BenchmarkMirror(b *testing.B) {
	for _, c := range clientsWithScopes() {
		b.Run(c.name, func(b *testing.B) {
			var m mirror
			for b.Loop() {
				m = runMirror(b, c, scopes, passes)
			}
			b.ReportMetric(float64(m.held), "B-held")
			b.ReportMetric(float64(m.exchanges), "exchanges")
		})
	}
}
