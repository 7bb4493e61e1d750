package challengetest

import "time"

// recent is a map of limited size. It holds an entry for at least the time keep,
// unless maxEntries newer entries came.
type recent[V any] struct {
	keep       time.Duration
	since      time.Time // the time when young was made
	young, old map[string]V
}

const maxEntries = 1 << 16

func (m *recent[V]) put(now time.Time, key string, v V) {
	if m.young == nil || len(m.young) >= maxEntries || now.Sub(m.since) > m.keep {
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
