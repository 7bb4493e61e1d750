package auth_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/ollama/auth"
	"github.com/countersign/countersign/signer"
)

// A request to Ollama's API, signed with the configured key, which is the one in
// OLLAMA_KEY here.
func ExampleSign() {
	text := "POST,/api/me?ts=1700000000"
	authorization, err := auth.Sign(context.Background(), []byte(text))
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
	nonce, err := auth.NewNonce(rand.Reader, 16)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(nonce))
	// Output: 22
}

func ExampleGetPublicKey() {
	line, err := auth.GetPublicKey()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(line)
	// Output: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop
}

// One opened key signs texts and answers the challenges of a registry.
func ExampleKey() {
	registry, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	registry.AddImage("library/llama3", "latest", []byte("weights"))

	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{
		Key: func(ctx context.Context, _ challenge.Origin) (signer.Signer, error) { return auth.Key(ctx) },
	}}}
	resp, err := client.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}
