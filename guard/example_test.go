package guard_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

func ExampleCheck() {
	fmt.Println(guard.Check([]byte("POST,/api/me?ts=1700000000"), guard.Registry, guard.API))
	fmt.Println(guard.Check([]byte("SSHSIG\x00\x00\x00\x03git..."), guard.Registry, guard.API))
	// Output:
	// <nil>
	// refused to sign: the signature would be valid for a file or commit, as ssh-keygen -Y signs it (sshsig): only ollama.registry and ollama.api are allowed
}

func ExamplePurposeOf() {
	fmt.Println(guard.PurposeOf([]byte("POST,/api/me?ts=1700000000")))
	fmt.Println(guard.PurposeOf([]byte("SSHSIG\x00\x00\x00\x03git...")))
	fmt.Println(guard.PurposeOf([]byte("hello")))
	// Output:
	// ollama.api
	// sshsig
	// raw
}

// A key that signs requests to Ollama's API, and nothing else.
func ExampleOnly() {
	ctx := context.Background()
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		log.Fatal(err)
	}
	key = guard.Only(key, guard.API)

	_, err = key.Sign(ctx, []byte("POST,/api/me?ts=1700000000"))
	fmt.Println(err)
	_, err = key.Sign(ctx, []byte("SSHSIG\x00\x00\x00\x03git..."))
	fmt.Println(errors.Is(err, guard.ErrPurpose))
	// Output:
	// <nil>
	// true
}
