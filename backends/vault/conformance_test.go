package vault_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"testing"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func kindOf(private crypto.Signer) string {
	switch pub := private.Public().(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa-p%d", pub.Params().BitSize)
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", pub.Size()*8)
	}
	return "ed25519"
}

// deletable allows to delete the keys that it makes, as an operator does.
type deletable struct {
	*vault.Backend
	allow func(name string) // hides the fake, which holds the private keys
}

func (d deletable) Generate(ctx context.Context, name string) (signer.Signer, error) {
	k, err := d.Backend.Generate(ctx, name)
	if err == nil {
		d.allow(name)
	}
	return k, err
}

func TestConformance(t *testing.T) {
	s := startServer(t)
	names := 0
	signertest.Run(t, func(t *testing.T) signertest.Store {
		return signertest.Store{
			Backend:  deletable{s.backend(), s.allowDelete},
			Put:      s.put,
			Name:     func(int) string { names++; return fmt.Sprintf("signertest-%d", names) },
			BadNames: []string{"a/b-is-no-key-name", "-leading-hyphen", "trailing-dot.", "../keys/of-others", "with space", "key?list=true", "größe-des-namens"},
		}
	})
}
