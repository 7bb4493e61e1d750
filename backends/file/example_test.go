package file_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
)

func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "id_ed25519")

	ctx := context.Background()
	keys := new(file.Backend)
	if _, err := keys.Generate(ctx, path); err != nil {
		log.Fatal(err)
	}

	// From a reference, as configuration has it.
	key, err := signer.Mux{"file": keys}.Open(ctx, "file:"+path)
	if err != nil {
		log.Fatal(err)
	}
	msg := []byte("GET,https://example.com/v2/token,")
	sig, err := key.Sign(ctx, msg)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sig.Format, key.PublicKey().Verify(msg, sig))
	// Output: ssh-ed25519 <nil>
}
