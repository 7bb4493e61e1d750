package keyring_test

import (
	"testing"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer/signertest"
)

func TestSecretService(t *testing.T) {
	if !secretservice.Rerun(t) {
		return
	}
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{
			Backend:  &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}},
			BadNames: []string{"../escape", "/absolute/name", "double//slash", "semi;colon", `back\slash`},
		}
	})
}
