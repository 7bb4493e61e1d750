package main

import (
	"fmt"
	"runtime"
	"testing"
)

// scopes is how many repositories one client visits.
const scopes = 10_000

// heapAfter returns the bytes that a client holds after it got a token for each
// of n scopes.
func heapAfter(tb testing.TB, c client, n int) uint64 {
	tb.Helper()
	p := &paper{realm: paperURL + "/token"}
	pull := c.connect(tb, p.site(tb))
	before := heap()
	for i := range n {
		for _, err := range pull(tb.Context(), fmt.Sprintf("library/model%d", i), 1) {
			tb.Fatal(err)
		}
	}
	after := heap()
	runtime.KeepAlive(pull)
	return max(after, before) - before
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what sync.Pool holds survives the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// hoarders are the clients that keep tokens by scope. A regclient has one token
// for all scopes, and asks for all of them again for each new one.
func hoarders() []client {
	var all []client
	for _, c := range clients() {
		if c.name != "regclient" && c.name != ollamaX {
			all = append(all, c)
		}
	}
	return all
}

func TestMemoryIsBounded(t *testing.T) {
	some, many := heapAfter(t, clients()[0], scopes/5), heapAfter(t, clients()[0], scopes)
	t.Logf("%d bytes after %d scopes, %d after %d", some, scopes/5, many, scopes)
	if many > some+some/2 {
		t.Errorf("the more scopes, the more memory: %d bytes after %d scopes, %d after %d", some, scopes/5, many, scopes)
	}
}

func BenchmarkScopes(b *testing.B) {
	for _, c := range hoarders() {
		b.Run(c.name, func(b *testing.B) {
			var held uint64
			for b.Loop() {
				held = heapAfter(b, c, scopes)
			}
			b.ReportMetric(float64(held), "B-held")
		})
	}
}
