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
