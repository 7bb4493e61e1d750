package challengetest

import (
	"strconv"
	"testing"
	"time"
)

func TestRecentKeeps(t *testing.T) {
	m := recent[int]{keep: time.Minute}
	start := time.Unix(0, 0)
	for i := range 100 { // one entry in each second
		m.put(start.Add(time.Duration(i)*time.Second), strconv.Itoa(i), i)
		for j := max(0, i-60); j <= i; j++ {
			if got, ok := m.get(strconv.Itoa(j)); !ok || got != j {
				t.Fatalf("after %d s, the entry of second %d is gone", i, j)
			}
		}
	}
}

func TestRecentIsBounded(t *testing.T) {
	m := recent[int]{keep: time.Hour}
	for i := range 3 * maxEntries {
		m.put(time.Unix(0, 0), strconv.Itoa(i), i)
	}
	if n := len(m.young) + len(m.old); n > 2*maxEntries {
		t.Errorf("%d entries", n)
	}
	if _, ok := m.get(strconv.Itoa(2 * maxEntries)); !ok {
		t.Error("an entry after which not maxEntries came is gone")
	}
}
