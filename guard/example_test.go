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

// A key that gets tokens of one registry, and nothing else.
func ExamplePurpose_For() {
	purpose := guard.Registry.For("https://registry.example.com")
	const rest = "?nonce=AAECAwQFBgcICQoLDA0ODw&ts=1,ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
	fmt.Println(guard.Check([]byte("GET,https://registry.example.com/token"+rest), purpose))
	fmt.Println(guard.Check([]byte("GET,https://evil.example/token"+rest), purpose))
	// Output:
	// <nil>
	// refused to sign: the signature would be valid for a registry's token (ollama.registry https://evil.example): only ollama.registry https://registry.example.com is allowed
}

func ExampleParsePurpose() {
	fmt.Println(guard.ParsePurpose("ollama.registry https://Registry.example.com:443"))
	fmt.Println(guard.ParsePurpose("sshsig git"))
	// Output:
	// ollama.registry https://registry.example.com <nil>
	// sshsig git <nil>
}
