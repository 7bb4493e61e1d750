package signertest

import (
	"crypto"
	"testing"

	"github.com/countersign/countersign/internal/conformance"
)

// NoSecret checks that no value, and no value that it points to, prints the
// private half of key: with any fmt verb, as JSON, through slog, or as the text of
// an error. A key that a function captures is safe, because no method and no field
// shows it.
func NoSecret(t testing.TB, key crypto.Signer, values ...any) {
	t.Helper()
	found, ok := conformance.FindSecret(key, values...)
	if !ok {
		t.Fatalf("cannot tell the secret of a %T", key)
	}
	for _, where := range found {
		t.Error(where)
	}
}
