package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/keylock"
)

// lock keeps other processes of the user from creating a key at the same time,
// until unlock is called or the process ends in any way.
func lock(ctx context.Context) (unlock func(), err error) {
	unlock, err = keylock.Lock(ctx, "lock")
	if held, ok := errors.AsType[*keylock.HeldError](err); ok {
		return nil, &problem{kind: held.Err, cause: fmt.Errorf("another process is creating a key and holds %s", held.Path), topic: "hanging"}
	}
	if err != nil {
		return nil, &problem{cause: fmt.Errorf("a lock, so that two processes never create the same key: %w", err), topic: "lock"}
	}
	return unlock, nil
}
