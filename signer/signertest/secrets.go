package signertest

import (
	"crypto"
	"testing"
)

// NoSecret checks that no value, nor anything it points to, prints the private
// half of key: in any fmt verb, as JSON, through slog, or as the text of an
// error. What no method and no field shows is safe: a key that a function
// captures.
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
