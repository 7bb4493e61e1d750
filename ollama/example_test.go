package ollama_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/ollama"
	"github.com/countersign/countersign/signer"
)

// exampleKey returns the key whose seed is zeros. A program opens its key with a
// backend.
func exampleKey() signer.Signer {
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// A request to Ollama's API, signed as Ollama's own packages sign it.
func ExampleSign() {
	text := "POST,/api/me?ts=1700000000"
	authorization, err := ollama.Sign(context.Background(), exampleKey(), []byte(text))
	if err != nil {
		log.Fatal(err)
	}
	signedBy, err := challenge.Verify(authorization, []byte(text))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ssh.FingerprintSHA256(signedBy))
	// Output: SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo
}

func ExampleNewNonce() {
	nonce, err := ollama.NewNonce(rand.Reader, 16)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(nonce), strings.ContainsAny(nonce, "+/="))
	// Output: 22 false
}

// The page that adds the key to an account.
func ExampleSignInURL() {
	page, err := ollama.SignInURL("https://ollama.com", exampleKey().PublicKey(), "ann-laptop")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page)
	// Output: https://ollama.com/connect?name=ann-laptop&key=c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUR0cUo3ek90cVF0WXFPbzBDcHZEWE5sTWhWM0hlSkRwanJBU0tHTFdkb3A
}
