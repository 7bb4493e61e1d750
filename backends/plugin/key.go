package plugin

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"math/big"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/pluginwire"
	"github.com/countersign/countersign/signer"
)

// A key signs with a key of a plugin.
type key struct {
	signer.AlgorithmSigner
	stale *atomic.Bool
}

// newKey returns the Signer of a key. prompt is the question that the plugin asked
// before it gave the public key, or "".
func (b *Backend) newKey(plugin, name string, pub ssh.PublicKey, prompt string) *key {
	stale := new(atomic.Bool)
	var asked atomic.Value // the question that the plugin asked last, so that its answer is sent at once
	asked.Store(prompt)
	sign := func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		r := pluginwire.Request{Op: pluginwire.Sign, Key: name, Payload: nonNil(msg)}
		if pub.Type() == ssh.KeyAlgoRSA {
			r.Algorithm = algorithm
		}
		result, prompt, err := b.call(ctx, plugin, r, asked.Load().(string))
		if errors.Is(err, signer.ErrNotFound) {
			stale.Store(true)
		}
		if err != nil {
			return nil, err
		}
		asked.Store(prompt)
		sig := &ssh.Signature{Format: algorithm, Blob: sshBlob(pub, result.Signature)}
		if pub.Verify(msg, sig) != nil {
			stale.Store(true) // the plugin may have another key now
		}
		return sig, nil // AlgorithmFunc verifies it, and says whose key it is
	}
	return &key{signer.AlgorithmFunc(pub, sign), stale}
}

// Stale implements [signer.Staler].
func (k *key) Stale() bool { return k.stale.Load() }

// Algorithms returns the algorithms of the key: see [signer.Algorithms].
func (k *key) Algorithms() []string { return signer.Algorithms(k.AlgorithmSigner) }

func nonNil(msg []byte) []byte { return append([]byte{}, msg...) }

// sshBlob returns a signature as package ssh has it. Only ECDSA differs: plugins
// send the DER sequence of RFC 3279, section 2.2.3, which OpenSSL and key services
// make. The form of RFC 5656, section 3.1.2, stays as it is.
func sshBlob(pub ssh.PublicKey, signature []byte) []byte {
	if pub.Type() == ssh.KeyAlgoED25519 || pub.Type() == ssh.KeyAlgoRSA || bytes.HasPrefix(signature, []byte{0}) {
		return signature
	}
	var number struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(signature, &number); err != nil || len(rest) > 0 {
		return signature // which does not verify
	}
	return ssh.Marshal(number)
}
