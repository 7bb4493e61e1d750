package signertest_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"testing"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestMemory(t *testing.T) {
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{Backend: new(signertest.Memory)}
	})
}

// A backend that can only open keys gets them from Put.
func TestOpenOnly(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		m := new(signertest.Memory)
		return signertest.Store{
			Backend: struct{ signer.Backend }{m},
			Put: func(t *testing.T, name string, key crypto.Signer) {
				if err := m.Import(t.Context(), name, key); err != nil {
					t.Fatal(err)
				}
			},
			Name:     func(n int) string { return fmt.Sprintf("KEY_%d", n) },
			BadNames: []string{"\t", "tab\tbetween"},
			Snapshot: func(t *testing.T) []string { return names(t, m) },
		}
	})
}

func names(t *testing.T, m *signertest.Memory) []string {
	infos, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

func ExampleMemory() {
	ctx := context.Background()
	keys := signer.Mux{"memory": new(signertest.Memory)}
	_, err := keys.Open(ctx, "memory:test")
	fmt.Println(errors.Is(err, signer.ErrNotFound))

	b, name, err := keys.Resolve("memory:test")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := b.(signer.Generator).Generate(ctx, name); err != nil {
		fmt.Println(err)
		return
	}
	s, err := keys.Open(ctx, "memory:test")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s, s.PublicKey().Type())
	// Output:
	// true
	// memory:test ssh-ed25519
}

// A store that makes its keys itself, as hardware does, needs no Put. The methods
// that it lacks are not called.
func TestGenerateOnly(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		m := new(signertest.Memory)
		return signertest.Store{
			Backend: struct {
				signer.Backend
				signer.Generator
				signer.Lister
				signer.Deleter
			}{m, m, nil, m},
			Lacks:    []string{"Lister"},
			Snapshot: func(t *testing.T) []string { return names(t, m) },
		}
	})
}
