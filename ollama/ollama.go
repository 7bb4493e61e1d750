// Package ollama has the functions of Ollama's own package auth, with the same
// signatures and results, but with the key that the configuration chooses: a
// program that imports github.com/ollama/ollama/auth switches by its import path.
// docs/moving-from-ollama.md tells what else differs.
//
// The key is chosen as package config does for no registry in particular: what
// the variable COUNTERSIGN_KEY names, or the list of the configuration file, or
// the built-in order, in which Ollama's own key file comes last. A program whose
// registries have keys of their own uses [config.Config.Client].
package ollama

import (
	"context"
	"encoding/base64"
	"io"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// key yields the process's key. Ollama's functions leave no other place to keep
// it, and opened at each call a keychain would prompt at each signature.
var key = signer.Keep(signer.OpenFunc(open), "")

func open(ctx context.Context, _ string) (signer.Signer, error) {
	c, err := config.Load()
	if err != nil {
		return nil, err
	}
	s, _, err := c.Choose(config.Here("")).Open(ctx, c.Backends())
	return s, err
}

// Sign signs bts and returns "<public key>:<signature>", as
// [challenge.Authorization] does and for an Ed25519 key Ollama too, to the byte.
//
// The first call reads the configuration and opens the key, which is then kept
// for the life of the process; what the environment and the file say later does
// not count. It is chosen anew when it is stale ([signer.Staler]), as a key file
// that was replaced, and after a failure. Sign is safe for concurrent use and
// gives up when ctx ends.
//
// Texts that belong to another protocol, such as an SSH login, are refused
// ([challenge.Guard], raw text allowed); no request of Ollama's is.
//
// Errors: those of [config.Load] and [config.Choice.Open], which tell what was
// tried, and of [challenge.Authorization].
func Sign(ctx context.Context, bts []byte) (string, error) {
	if err := challenge.Guard(bts, true); err != nil {
		return "", err
	}
	s, err := key(ctx)
	if err != nil {
		return "", err
	}
	return challenge.Authorization(ctx, s, bts)
}

// GetPublicKey returns the public half of the key that [Sign] signs with, as a
// line of authorized_keys without comment and newline: "ssh-ed25519 AAAA...". It
// opens the key as Sign does, and has the same errors in doing so. A key file
// with a passphrase tells it without that.
func GetPublicKey() (string, error) {
	s, err := key(context.Background())
	if err != nil {
		return "", err
	}
	return authorizedKey(s.PublicKey()), nil
}

// NewNonce reads length bytes from r and returns them in base64, with the URL's
// alphabet and without padding.
func NewNonce(r io.Reader, length int) (string, error) {
	nonce := make([]byte, length)
	if _, err := io.ReadFull(r, nonce); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(nonce), nil
}
