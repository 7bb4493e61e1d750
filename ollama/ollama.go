// Package ollama has the functions of Ollama's own package auth, with the same
// signatures and results, but with the key that the configuration chooses. A
// program switches by its import path.
package ollama

import (
	"encoding/base64"
	"io"
)

// NewNonce reads length bytes from r and returns them in base64, with the URL's
// alphabet and without padding.
func NewNonce(r io.Reader, length int) (string, error) {
	nonce := make([]byte, length)
	if _, err := io.ReadFull(r, nonce); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(nonce), nil
}
