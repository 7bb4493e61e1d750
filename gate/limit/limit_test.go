package limit

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New[string](2)
		count := func(client string) (n int) {
			for range 100 {
				if l.Allow(client) {
					n++
				}
			}
			return n
		}
		if n := count("a"); n != 8 {
			t.Errorf("a burst of %d, want 8", n)
		}
		if n := count("b"); n != 8 {
			t.Errorf("another client has a burst of %d, want 8", n)
		}
		time.Sleep(time.Second)
		if n := count("a"); n != 2 {
			t.Errorf("%d in the next second, want 2", n)
		}
	})
}

func TestNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
	} {
		if got := Network(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: %s", got)
	}
}

// Many other clients neither free a client from its limit nor fill the memory.
func TestManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time goes by
		const one, many = 0, maxClients / 2
		l := New[int](1)
		use := func(first, n int) {
			for client := first; client < first+n; client++ {
				l.Allow(client)
			}
		}
		for l.Allow(one) {
		}
		use(1, many-1)
		if len(l.young) != many || len(l.old) != 0 {
			t.Errorf("after %d clients: %d young and %d old", many, len(l.young), len(l.old))
		}
		use(many, 1)
		if len(l.young) != 1 || len(l.old) != many {
			t.Errorf("after one more: %d young and %d old", len(l.young), len(l.old))
		}
		if l.Allow(one) {
			t.Error("a client has no limit any more after others came")
		}
		use(many+1, 10*many)
		if n := len(l.young) + len(l.old); n > maxClients {
			t.Errorf("%d clients are remembered", n)
		}
		if maxClients != 65536 { // about 10 MB
			t.Errorf("the memory is for %d clients", maxClients)
		}
		if first := l.of(one); first == nil || first != l.of(one) {
			t.Error("a client has two limits")
		}
	})
}
