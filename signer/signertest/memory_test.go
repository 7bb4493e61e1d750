package signertest_test

import (
	"testing"

	"github.com/countersign/countersign/signer/signertest"
)

func TestMemory(t *testing.T) {
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{Backend: new(signertest.Memory)}
	})
}
