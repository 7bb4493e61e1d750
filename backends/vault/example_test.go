package vault_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/internal/vaulttest"
	"github.com/countersign/countersign/signer"
)

// A service signs with a key that never leaves the server.
func ExampleBackend() {
	fake := vaulttest.New(nil) // here, in place of a server
	fake.AddEngine("transit")
	server := httptest.NewServer(fake)
	defer server.Close()

	keys := &signer.Keeper{Backend: &vault.Backend{
		Address: server.URL,                         // or VAULT_ADDR
		Token:   func() string { return fake.Root }, // or TokenFile, AppRole, Kubernetes
	}}
	ctx := context.Background()
	if _, err := keys.Generate(ctx, "ollama"); err != nil {
		log.Fatal(err)
	}
	key, err := keys.Open(ctx, "ollama")
	if err != nil {
		log.Fatal(err)
	}
	signature, err := key.Sign(ctx, []byte("message"))
	fmt.Println(signature.Format, err)
	// Output: ssh-ed25519 <nil>
}
