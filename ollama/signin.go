package ollama

import (
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
)

// SignInURL returns the address of the page where a person with an account at
// base adds key to the account. [challenge.SignInURL] describes the format and the
// errors.
func SignInURL(base string, key ssh.PublicKey, name string) (string, error) {
	return challenge.SignInURL(base, key, name)
}
