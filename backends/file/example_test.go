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

// Keys in a folder have short names, and can be listed. Each is encrypted with a
// passphrase as it is written.
func ExampleBackend_List() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	keys := &file.Backend{
		Dir:     dir,
		Comment: "me@laptop",
		NewPassphrase: func(_ context.Context, prompt string) ([]byte, error) {
			return []byte("correct horse"), nil // asked of somebody, with that prompt
		},
	}
	if _, err := keys.Generate(ctx, "work"); err != nil {
		log.Fatal(err)
	}
	infos, err := keys.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, info := range infos {
		fmt.Println(info.Name, info.PublicKey.Type(), info.Comment)
	}
	// Output: work ssh-ed25519 me@laptop
}
