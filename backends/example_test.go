package backends_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/signer"
)

// The fields of a Set have the types of the backends, so a program can set them up.
func ExampleSet() {
	home, err := os.MkdirTemp("", "countersign")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(home)

	ctx := context.Background()
	keys := backends.New()
	keys.File.Dir = home
	if _, err := keys.File.Generate(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	_, err = keys.Open(ctx, "file:alice")
	fmt.Println(err)
	_, err = keys.Open(ctx, "file:bob")
	fmt.Println(errors.Is(err, signer.ErrNotFound))
	// Output:
	// <nil>
	// true
}
