package challenge

import (
	"testing"
	"time"
	"unsafe"
)

// moveClocks returns t with the wall clock and the monotonic clock moved by different
// amounts, as a machine that slept shows them. Package time has no function for it: wall
// holds a flag, 33 bits of seconds and 30 bits of nanoseconds, and ext the monotonic
// clock in nanoseconds.
func moveClocks(t *testing.T, at time.Time, wall, monotonic time.Duration) time.Time {
	t.Helper()
	moved := at
	fields := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&moved))
	fields.wall += uint64(wall/time.Second) << 30
	fields.ext += int64(monotonic)
	if moved.Round(0).Sub(at.Round(0)) != wall || moved.Sub(at) != monotonic {
		t.Fatalf("package time has another form by now: moved by %v and %v", moved.Round(0).Sub(at.Round(0)), moved.Sub(at))
	}
	return moved
}

// TestTokenExpiresByEitherClock: the monotonic clock stops while a machine sleeps, and
// the wall clock may be set back.
func TestTokenExpiresByEitherClock(t *testing.T) {
	start := time.Now()
	token := testToken("a", start, 5*time.Minute)
	for _, tt := range []struct {
		name            string
		wall, monotonic time.Duration
		usable, ageing  bool
	}{
		{"at once", 0, 0, true, false},
		{"in use", 3 * time.Minute, 3 * time.Minute, true, false},
		{"after a short sleep", 4*time.Minute + 10*time.Second, time.Minute, true, true},
		{"after a sleep", time.Hour, time.Minute, false, true},
		{"the wall clock was set back", -time.Hour, 10 * time.Minute, false, true},
		{"expired", 10 * time.Minute, 10 * time.Minute, false, true},
	} {
		now := moveClocks(t, start, tt.wall, tt.monotonic)
		if usable := token.usableAt(now); usable != tt.usable {
			t.Errorf("%s: usable is %v, want %v", tt.name, usable, tt.usable)
		}
		if ageing := token.ageingAt(now); ageing != tt.ageing {
			t.Errorf("%s: time to renew is %v, want %v", tt.name, ageing, tt.ageing)
		}
	}
	// A program compares Expires with its own clock.
	if now := moveClocks(t, start, time.Hour, time.Minute); !now.After(token.Expires()) {
		t.Error("after a sleep, Expires is still ahead of time.Now")
	}
}

func TestCacheDropsATokenThatExpiredInASleep(t *testing.T) {
	c, now := newTestCache(3)
	*now = time.Now()
	old, short := testToken("a", *now, 24*time.Hour), testToken("b", *now, time.Minute)
	c.putToken(old)
	c.putToken(short)
	c.putToken(testToken("c", *now, 24*time.Hour))
	*now = moveClocks(t, *now, time.Hour, 0)
	c.putToken(testToken("d", *now, 24*time.Hour))
	if c.token(old.key()) != old || c.token(short.key()) != (Token{}) {
		t.Error("the cache kept the expired token and dropped another one")
	}
}
