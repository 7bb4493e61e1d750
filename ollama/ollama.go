// Package ollama makes the texts and addresses of Ollama's own key handling, with
// a key that the program has: signatures, nonces and the sign-in page. It contains
// no keychain and reads no configuration. Package
// [github.com/countersign/countersign/ollama/auth] takes the configured key.
//
// Packages that build on it: [challenge.RequestSigner] signs requests for
// Ollama's API, and [challenge.Transport] answers a registry's challenge.
package ollama

import (
	"context"
	"encoding/base64"
	"io"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

// Sign signs msg with key and returns "<public key>:<signature>", the value of
// the header field Authorization, as [challenge.Sign] does. For an
// Ed25519 key the result is the same as that of Ollama's auth.Sign, byte for byte.
// It is safe for concurrent use if key is.
//
// Sign refuses a text of another protocol, such as an SSH login or a commit
// ([guard.Check]). It refuses no request of Ollama's and no text without a protocol.
//
// Errors: guard.ErrPurpose, and those of [challenge.Sign].
func Sign(ctx context.Context, key signer.Signer, msg []byte) (string, error) {
	if err := guard.Check(msg, guard.Registry, guard.API, guard.Raw); err != nil {
		return "", err
	}
	return challenge.Sign(ctx, key, msg)
}

// NewNonce reads length bytes from r and returns them in base64, with the URL's
// alphabet and without padding. Errors: those of r, and [io.ErrUnexpectedEOF].
func NewNonce(r io.Reader, length int) (string, error) {
	nonce := make([]byte, length)
	if _, err := io.ReadFull(r, nonce); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(nonce), nil
}
