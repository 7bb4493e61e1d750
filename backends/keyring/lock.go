package keyring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

// lock keeps other processes of the user from creating a key at the same time,
// until unlock is called or the process ends, however it ends.
func lock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(lockDir(), fmt.Sprintf("countersign-keyring-%d.lock", os.Getuid()))
	l := flock.New(path, flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: another process is creating a key and holds %s (docs/keychain.md#hanging)", ctx.Err(), path)
		}
		return nil, fmt.Errorf("locking %s, so that two processes never create the same key: %w (docs/keychain.md#lock)", path, err)
	}
	return func() { l.Unlock() }, nil
}

// lockDir must be the same for all processes of the user, so it does not rest
// on $HOME or $XDG_RUNTIME_DIR, which a cron job or a service may lack. On
// Windows and macOS the temporary directory is each user's own.
func lockDir() string {
	runtimeDir := filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	if info, err := os.Stat(runtimeDir); err == nil && info.IsDir() {
		return runtimeDir
	}
	return os.TempDir()
}
