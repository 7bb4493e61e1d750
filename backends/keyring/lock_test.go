package keyring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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
	if hint, _ := signer.HintOf(err); !errors.Is(err, context.DeadlineExceeded) || hint.See != "keychain#hanging" {
		t.Errorf("a second lock: got error %v, want DeadlineExceeded", err)
	}
	unlock()
	for _, name := range []string{"TMPDIR", "TMP"} { // Unix, Windows
		t.Setenv(name, filepath.Join(os.TempDir(), "countersign-test-absent"))
	}
	if _, err := os.Stat("/run/user"); err == nil {
		return // the lock may be there
	}
	_, err = lock(t.Context())
	if hint, _ := signer.HintOf(err); !errors.Is(err, os.ErrNotExist) || hint.See != "keychain#lock" {
		t.Errorf("without a directory: got error %v, want ErrNotExist and where the cure is", err)
	}
}
