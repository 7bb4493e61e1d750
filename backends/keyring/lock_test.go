package keyring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/signer"
)

func TestLock(t *testing.T) {
	unlock, err := lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = lock(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second lock: got error %v, want DeadlineExceeded", err)
	}
	unlock()
	unlock, err = lock(t.Context())
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
	_, err := lock(t.Context())
	if hint, _ := signer.HintOf(err); !errors.Is(err, os.ErrNotExist) || hint.See != "keychain#lock" {
		t.Errorf("lock: got error %v, want ErrNotExist and where the cure is", err)
	}
}
