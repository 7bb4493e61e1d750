package challengetest

import "time"

// recent is a map that forgets, so that its memory is bounded: an entry is
// there for at least keep, unless most entries came after it.
type recent[V any] struct {
	keep       time.Duration
	since      time.Time // when young was begun
	young, old map[string]V
}

const most = 1 << 16

func (m *recent[V]) put(now time.Time, key string, v V) {
	if m.young == nil || len(m.young) >= most || now.Sub(m.since) > m.keep {
		m.old, m.young, m.since = m.young, map[string]V{}, now
	}
	m.young[key] = v
}

func (m *recent[V]) get(key string) (V, bool) {
	if v, ok := m.young[key]; ok {
		return v, true
	}
	v, ok := m.old[key]
	return v, ok
}

func (m *recent[V]) clear() { m.young, m.old = nil, nil }
