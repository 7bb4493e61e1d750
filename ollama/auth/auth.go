// Package auth has the functions of Ollama's own package auth, with the same
// types and results, for the key that the configuration chooses. A program that
// imports github.com/ollama/ollama/auth changes its import path and nothing else.
// docs/moving-from-ollama.md lists the differences.
//
// The key is chosen as package config chooses it without a registry: the variable
// COUNTERSIGN_KEY names it, or else the list in the configuration file, or else
// the built-in order, which ends with Ollama's own key file. A program whose
// registries have keys of their own uses [config.Config.Client]. A program that
// has a key uses package [github.com/countersign/countersign/ollama], which
// contains no keychain.
package auth

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/ollama"
	"github.com/countersign/countersign/signer"
)

// keys holds the opened key for the whole process. Ollama's functions take no
// argument that could hold it, and a keychain that is opened for each signature
// would prompt for each signature.
var keys = signer.Keeper{Backend: signer.OpenFunc(open)}

func open(ctx context.Context, _ string) (signer.Signer, error) {
	c, err := config.Load()
	if err != nil {
		return nil, err
	}
	s, _, err := c.Choose(config.Here("")).Open(ctx, c.Backends())
	if search, ok := errors.AsType[*signer.SearchError](err); ok {
		for _, p := range search.Passed { // programs like Ollama show the text and no more
			err = fmt.Errorf("%w\n  passed over: %v", err, p.Err)
		}
	}
	return s, err
}

// Key returns the key that [Sign] signs with, for a program that also needs it
// elsewhere, such as in a [challenge.Client]. The program then has one opened key
// and one prompt.
//
// The first call reads the configuration and opens the key. Later calls, also of
// Sign and GetPublicKey, return the same key: later changes of the environment and
// of the configuration have no effect. The key is chosen again when it is stale
// ([signer.Staler]), for example because its file was replaced, and after an
// error. Key is safe for concurrent use and returns when ctx ends.
//
// Errors: those of [config.Load] and [config.Choice.Open]. Their text lists the
// references that were tried, with the reasons.
func Key(ctx context.Context) (signer.Signer, error) { return keys.Open(ctx, "") }

// Sign signs bts with [Key] and returns "<public key>:<signature>". For an
// Ed25519 key the result is the same as Ollama's, byte for byte.
//
// Errors: those of Key and of [ollama.Sign].
func Sign(ctx context.Context, bts []byte) (string, error) {
	if err := guard.Check(bts, guard.Registry, guard.API, guard.Raw); err != nil {
		return "", err // before Key, which may prompt
	}
	s, err := Key(ctx)
	if err != nil {
		return "", err
	}
	return ollama.Sign(ctx, s, bts)
}

// GetPublicKey returns the public half of [Key] as a line of authorized_keys
// without comment and newline: "ssh-ed25519 AAAA...". It needs no passphrase.
//
// Errors: those of Key.
func GetPublicKey() (string, error) {
	s, err := Key(context.Background())
	if err != nil {
		return "", err
	}
	return signer.AuthorizedKey(s.PublicKey()), nil
}

// NewNonce reads length bytes from r and returns them in base64, with the URL's
// alphabet and without padding. Errors: those of r.
func NewNonce(r io.Reader, length int) (string, error) { return ollama.NewNonce(r, length) }
