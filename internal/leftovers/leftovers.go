// Package leftovers finds goroutines and open files that a test leaves behind.
package leftovers

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// patience is the time that goroutines have to end. A busy machine may stop one at its
// last line for seconds.
const patience = time.Minute

// A State is the number of goroutines and of open files of this process.
type State struct{ goroutines, files int }

// Now returns the present State.
func Now() State { return State{runtime.NumGoroutine(), openFiles()} }

// Check fails t if there are more goroutines or open files now than in s. It waits for
// goroutines that are ending.
func (s State) Check(t testing.TB) {
	t.Helper()
	s.check(t, patience)
}

func (s State) check(t testing.TB, patience time.Duration) {
	t.Helper()
	for start := time.Now(); runtime.NumGoroutine() > s.goroutines && time.Since(start) < patience; {
		runtime.Gosched()
	}
	now := Now()
	if now.goroutines > s.goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines were left behind:\n%s", now.goroutines-s.goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	if now.files > s.files {
		t.Errorf("%d files were left open", now.files-s.files)
	}
}

// openFiles returns the number of open files and sockets, or 0 where the system does not
// tell it.
func openFiles() int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
