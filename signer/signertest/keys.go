package signertest

import (
	"crypto/ed25519"
	"testing"

	"github.com/countersign/countersign/internal/conformance"
)

// NewKey returns a new Ed25519 key for a test.
func NewKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	return conformance.NewKey(t)
}
