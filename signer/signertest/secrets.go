package signertest

import (
	"crypto"
	"testing"
)

// NoSecret checks that no value, and no value that it points to, prints the
// private half of key: with any fmt verb, as JSON, through slog, or as the text of
// an error. A key that a function captures is safe, because no method and no field
// shows it.
func NoSecret(t testing.TB, key crypto.Signer, values ...any) {
	t.Helper()
	secrets := secretForms(key)
	if len(secrets) == 0 {
		t.Fatalf("cannot tell the secret of a %T", key)
	}
	for _, v := range values {
		if found := find(v, secrets); found != "" {
			t.Error(found)
		}
	}
}
