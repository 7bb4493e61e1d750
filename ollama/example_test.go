package ollama_test

import (
	"crypto/ed25519"
	"fmt"
	"log"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/ollama"
)

// The page that adds a key to an account. A signer's PublicKey is what to give it;
// this one is of a seed of zeros.
func ExampleSignInURL() {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	pub, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		log.Fatal(err)
	}
	page, err := ollama.SignInURL("https://ollama.com", pub, "ann-laptop")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page)
	// Output: https://ollama.com/connect?name=ann-laptop&key=c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUR0cUo3ek90cVF0WXFPbzBDcHZEWE5sTWhWM0hlSkRwanJBU0tHTFdkb3A
}
