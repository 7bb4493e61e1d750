package ollama_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/ollama"
)

// A request to Ollama's API, signed as its own packages do. The key is the one in
// OLLAMA_KEY.
func ExampleSign() {
	text := "POST,/api/me?ts=1700000000"
	authorization, err := ollama.Sign(context.Background(), []byte(text))
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

func ExampleGetPublicKey() {
	line, err := ollama.GetPublicKey()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(line)
	// Output: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop
}

func ExampleNewNonce() {
	nonce, err := ollama.NewNonce(rand.Reader, 16)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(nonce), strings.ContainsAny(nonce, "+/="))
	// Output: 22 false
}

// The page that adds the key to an account. Who has a signer gives its PublicKey.
func ExampleSignInURL() {
	line, err := ollama.GetPublicKey()
	if err != nil {
		log.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		log.Fatal(err)
	}
	page, err := ollama.SignInURL("https://ollama.com", key, "ann-laptop")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page)
	// Output: https://ollama.com/connect?name=ann-laptop&key=c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUR0cUo3ek90cVF0WXFPbzBDcHZEWE5sTWhWM0hlSkRwanJBU0tHTFdkb3A
}
