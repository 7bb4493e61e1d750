// Package nonce accepts each signed token request once.
package nonce

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/countersign/countersign/gate/pubkey"
)

// Why a request is refused.
var (
	// ErrUsed: a request with this nonce was accepted before.
	ErrUsed = errors.New("the request was used already")

	// ErrEpoch: the request is older than the memory of the store, which may have
	// accepted it before.
	ErrEpoch = errors.New("the request was signed before the memory of used requests begins")

	// ErrFull: the store has no room. Nothing is forgotten before its time.
	ErrFull = errors.New("too many requests are remembered")

	// ErrUnavailable: the store does not answer.
	ErrUnavailable = errors.New("the store of used requests does not answer")
)

// Margin is how much longer than the windows of time a nonce is kept.
const Margin = 60 * time.Second

// A Key identifies a request: a service, a key and the nonce that the key's owner chose.
// It does not depend on the signature, because one request can have many.
type Key [sha256.Size]byte

// KeyOf returns the Key of a request.
func KeyOf(service string, key pubkey.ID, nonce string) Key {
	h := sha256.New()
	for _, part := range []string{service, string(key), nonce} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return Key(h.Sum(nil))
}

// A Store remembers used requests. It is safe for concurrent use.
//
// The caller takes a request only after all other checks, and only when its ts is not
// ahead of the clock. So an epoch at the time when the memory of a store begins
// excludes every request that was accepted before.
type Store interface {
	// Take remembers key, of a request that was signed at ts. Of all calls with one key
	// exactly one returns nil. Other errors than ErrUsed, ErrEpoch, ErrFull and those
	// that wrap ErrUnavailable do not happen.
	Take(ctx context.Context, key Key, ts time.Time) error

	// Ready returns an error that wraps ErrUnavailable if Take would.
	Ready(ctx context.Context) error
}
