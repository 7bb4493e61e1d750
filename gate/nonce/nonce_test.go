package nonce

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/gate/pubkey"
)

func keyOf(n int) Key { return KeyOf("s", "k", string(binary.BigEndian.AppendUint64(nil, uint64(n)))) }

func TestRule11_KeyOf(t *testing.T) {
	seen := map[Key]string{}
	for _, parts := range [][3]string{{"s", "k", "n"}, {"sk", "", "n"}, {"", "sk", "n"}, {"s", "kn", ""}, {"s", "k", "m"}, {"t", "k", "n"}, {"s", "l", "n"}} {
		k := KeyOf(parts[0], pubkey.ID(parts[1]), parts[2])
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", parts, other)
		}
		seen[k] = strings.Join(parts[:], "|")
	}
	if again := KeyOf("s", "k", "n"); seen[again] != "s|k|n" {
		t.Error("one request has two keys")
	}
}

func TestRule11_MemoryTakesOnce(t *testing.T) {
	m := NewMemory(time.Minute, time.Minute)
	var taken atomic.Int32
	var tasks sync.WaitGroup
	for range 500 {
		tasks.Go(func() {
			if err := m.Take(t.Context(), keyOf(1), m.Epoch()); err == nil {
				taken.Add(1)
			} else if !errors.Is(err, ErrUsed) {
				t.Error(err)
			}
		})
	}
	tasks.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("taken %d times", n)
	}
}

// Every request is remembered for as long as its ts is in the window, whenever it came.
func TestRule11_MemoryKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const past, future = 5 * time.Minute, 30 * time.Second
		m := NewMemory(past, future)
		time.Sleep(time.Second)
		var times []time.Time
		for i := range 200 {
			times = append(times, time.Now())
			if err := m.Take(t.Context(), keyOf(i), time.Now()); err != nil {
				t.Fatal(err)
			}
			for j, taken := range times {
				if time.Since(taken) > past+future+60*time.Second {
					continue
				}
				if err := m.Take(t.Context(), keyOf(j), taken); !errors.Is(err, ErrUsed) {
					t.Fatalf("%v after it was taken: %v", time.Since(taken), err)
				}
			}
			if n := len(m.young) + len(m.old); n > 116 { // of two times 390 seconds
				t.Fatalf("%d of %d are kept", n, i+1)
			}
			time.Sleep(7 * time.Second)
		}
	})
}

func TestRule11_FullMemoryForgetsNothing(t *testing.T) {
	m := NewMemory(time.Minute, time.Minute)
	m.maxKeys = 10
	for i := range 10 {
		if err := m.Take(t.Context(), keyOf(i), m.Epoch()); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Take(t.Context(), keyOf(10), m.Epoch()); !errors.Is(err, ErrFull) {
		t.Errorf("the eleventh: %v", err)
	}
	if err := m.Take(t.Context(), keyOf(0), m.Epoch()); !errors.Is(err, ErrUsed) {
		t.Errorf("the first again: %v", err)
	}
}

func TestMemoryCountsBothGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Minute, time.Minute)
		if m.maxKeys != 1_048_576 {
			t.Errorf("room for %d requests", m.maxKeys)
		}
		m.maxKeys = 4
		for i := range 2 {
			if err := m.Take(t.Context(), keyOf(i), m.Epoch()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(m.keep + time.Second)
		for i := range 2 {
			if err := m.Take(t.Context(), keyOf(10+i), m.Epoch()); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Take(t.Context(), keyOf(20), m.Epoch()); !errors.Is(err, ErrFull) {
			t.Errorf("the fifth: %v", err)
		}
	})
}

// A request that an earlier process accepted has a ts that is not after the end of that
// process, so the next process refuses it.
func TestRule12_Restart(t *testing.T) {
	for _, start := range []time.Time{time.Unix(1700000000, 0), time.Unix(1700000000, 1), time.Unix(1700000000, 999_999_999)} {
		m := newMemory(time.Minute, time.Minute, func() time.Time { return start })
		accepted := time.Unix(start.Add(-1).Unix(), 0) // by the process before, at the last moment
		if err := m.Take(t.Context(), keyOf(1), accepted); !errors.Is(err, ErrEpoch) {
			t.Errorf("start %v: ts %v: %v", start, accepted, err)
		}
		if wait := m.Epoch().Sub(start); wait < 0 || wait >= time.Second {
			t.Errorf("start %v: the epoch is %v away", start, wait)
		}
		if err := m.Take(t.Context(), keyOf(1), m.Epoch()); err != nil {
			t.Errorf("start %v: a new request: %v", start, err)
		}
	}
}
