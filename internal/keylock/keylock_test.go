package keylock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	unlock, err := Lock(t.Context(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = Lock(ctx, "lock")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process holds") {
		t.Errorf("a second lock: got error %v, want DeadlineExceeded", err)
	}
	unlock()
	unlock, err = Lock(t.Context(), "lock")
	if err != nil {
		t.Fatalf("once it is unlocked: %v", err)
	}
	unlock()
}

func TestLockNeedsADirectory(t *testing.T) {
	if lockParent() != os.TempDir() {
		t.Skipf("this user has %s", lockParent())
	}
	for _, name := range []string{"TMPDIR", "TMP"} { // Unix, Windows
		// Not a t.TempDir: Wine cannot remove it.
		t.Setenv(name, filepath.Join(os.TempDir(), "countersign-test-absent"))
	}
	if _, err := Lock(t.Context(), "lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Lock: got error %v, want ErrNotExist", err)
	}
}

// Locks of different names do not exclude each other.
func TestLockNames(t *testing.T) {
	for _, name := range []string{"lock", "rotation"} {
		unlock, err := Lock(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
	}
}
