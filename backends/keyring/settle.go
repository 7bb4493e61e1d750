package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/signer"
)

// settle looks at the stores after a change that got no answer: the store may
// have made it all the same. look returns nil if the change was made. A store
// that does not answer the look either leaves err as it is.
func (b *Backend) settle(ctx context.Context, err error, look func(context.Context) error) error {
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout())
	defer cancel()
	_, found := run(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, look(ctx) })
	switch {
	case found == nil:
		return nil
	case errors.Is(found, errNotDone):
		return fmt.Errorf("%w; %w", err, found)
	}
	return fmt.Errorf("%w; whether it was done cannot be told", err)
}

// errNotDone says that the stores answer and the change was not made.
var errNotDone = errors.New("it was not done")

func (b *Backend) lookDeleted(ctx context.Context, name string) error {
	err := b.search(ctx, noPrompt, func(r ring) error { return r.absent(name) })
	switch {
	case errors.Is(err, signer.ErrNotFound):
		return nil
	case errors.Is(err, signer.ErrExists):
		return errNotDone
	}
	return err
}

func (b *Backend) lookWritten(ctx context.Context, name string, data []byte) error {
	err := b.search(ctx, noPrompt, func(r ring) error {
		found, err := r.get(name)
		if err == nil && !bytes.Equal(found, data) {
			return errNotDone
		}
		return err
	})
	if errors.Is(err, signer.ErrNotFound) {
		return errNotDone
	}
	return err
}
