package nonce

import (
	"context"
	"sync"
	"time"
)

// maxKeys is the number of requests that a Memory remembers: 64 MiB or so.
const maxKeys = 1 << 20

// A Memory is a [Store] for a single process.
type Memory struct {
	epoch time.Time
	keep  time.Duration
	now   func() time.Time

	mu      sync.Mutex
	since   time.Time // when young was made; Take makes the first one
	young   map[Key]struct{}
	old     map[Key]struct{} // made keep or more before young
	maxKeys int
}

// NewMemory returns a Memory that begins now. It remembers a request until past and
// future have gone by, and [Margin]. The epoch is the next full second, because ts has
// no fractions: wait for [Memory.Epoch] before the first request.
func NewMemory(past, future time.Duration) *Memory { return newMemory(past, future, time.Now) }

func newMemory(past, future time.Duration, now func() time.Time) *Memory {
	start := now()
	epoch := start.Truncate(time.Second)
	if epoch.Before(start) {
		epoch = epoch.Add(time.Second)
	}
	return &Memory{epoch: epoch, keep: past + future + Margin, now: now, maxKeys: maxKeys}
}

// Epoch returns the time before which no request is accepted.
func (m *Memory) Epoch() time.Time { return m.epoch }

// Take implements [Store].
func (m *Memory) Take(_ context.Context, key Key, ts time.Time) error {
	if ts.Before(m.epoch) {
		return ErrEpoch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); now.Sub(m.since) > m.keep {
		m.old, m.young, m.since = m.young, map[Key]struct{}{}, now
	}
	_, young := m.young[key]
	_, old := m.old[key]
	switch {
	case young || old:
		return ErrUsed
	case len(m.young)+len(m.old) >= m.maxKeys:
		return ErrFull
	}
	m.young[key] = struct{}{}
	return nil
}

// Ready implements [Store].
func (m *Memory) Ready(context.Context) error { return nil }
