package vault

import "time"

// SetClock replaces the clock of b before its first use.
func SetClock(b *Backend, now func() time.Time) { b.clock = now }
