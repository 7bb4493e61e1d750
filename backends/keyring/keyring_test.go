package keyring_test

import (
	"crypto/ed25519"
	"testing"
	"time"
)

// patience is for tests of what works: the machine may be busy.
const patience = time.Minute

var badNames = []string{"../escape", "/absolute/name", "double//slash", "trailing/", "a/./b", "semi;colon", `back\slash`}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
