package vault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// checkInterval is how long a Signer uses its key before it asks for a newer version.
const checkInterval = time.Minute

// keyInfo is the reply to GET transit/keys/NAME.
type keyInfo struct {
	Type            string                     `json:"type"`
	Derived         bool                       `json:"derived"`
	DeletionAllowed bool                       `json:"deletion_allowed"`
	SupportsSigning bool                       `json:"supports_signing"`
	Latest          int                        `json:"latest_version"`
	Versions        map[string]json.RawMessage `json:"keys"` // numbers for keys that only encrypt
}

func (c *client) readKey(ctx context.Context, name string) (*keyInfo, error) {
	var reply struct {
		Data *keyInfo `json:"data"`
	}
	err := c.call(ctx, http.MethodGet, c.keyPath(name), nil, &reply)
	if isAbsence(err) {
		return nil, fmt.Errorf("%w: the transit engine %q of %s has no key %q", signer.ErrNotFound, printable.Text(c.mount), c, name)
	}
	if err != nil {
		return nil, err
	}
	if reply.Data == nil {
		return nil, fmt.Errorf("%s sent a reply that is not in the form of Vault's API", c)
	}
	return reply.Data, nil
}

func (c *client) hasKey(ctx context.Context, name string) (bool, error) {
	_, err := c.readKey(ctx, name)
	if errors.Is(err, signer.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (c *client) listKeys(ctx context.Context) ([]string, error) {
	var reply struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	err := c.call(ctx, "LIST", c.mount+"/keys", nil, &reply)
	if isAbsence(err) { // an empty engine
		return nil, nil
	}
	return reply.Data.Keys, err
}

// public returns the public half of a version.
func (i *keyInfo) public(version int) (ssh.PublicKey, error) {
	switch {
	case !i.SupportsSigning:
		return nil, fmt.Errorf("%w: a transit key of type %s cannot sign: use ed25519, ecdsa-p256 or rsa-2048 and their like", signer.ErrUnsupported, printable.Quote(i.Type))
	case i.Derived:
		return nil, fmt.Errorf("%w: a derived transit key, which has another public key for each context", signer.ErrUnsupported)
	}
	var entry struct {
		PublicKey string `json:"public_key"`
	}
	if err := json.Unmarshal(i.Versions[strconv.Itoa(version)], &entry); err != nil || entry.PublicKey == "" {
		return nil, fmt.Errorf("%w: the server tells no public key of version %d of this transit key, which has the type %s", signer.ErrUnsupported, version, printable.Quote(i.Type))
	}
	key, err := parsePublic(i.Type, entry.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("public key of the transit key: %w", err)
	}
	pub, err := ssh.NewPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: public key of the transit key: %w", signer.ErrUnsupported, err)
	}
	return pub, nil
}

// parsePublic reads PEM, or base64 for Ed25519.
func parsePublic(kind, text string) (crypto.PublicKey, error) {
	if kind == "ed25519" {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, errors.New("not the base64 of 32 bytes")
		}
		return ed25519.PublicKey(key), nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not the PEM of a public key")
	}
	return key, nil
}

// A key is a Signer of one version of a transit key.
type key struct {
	signer.AlgorithmSigner
	client  *client
	name    string
	version int
	stale   atomic.Bool
	checked atomic.Int64 // when the key was read last, in nanoseconds since 1970
}

func newKey(c *client, name string, info *keyInfo) (signer.Signer, error) {
	pub, err := info.public(info.Latest)
	if err != nil {
		return nil, err
	}
	k := &key{client: c, name: name, version: info.Latest}
	k.checked.Store(c.now().UnixNano())
	k.AlgorithmSigner = signer.AlgorithmFunc(pub, k.sign)
	return k, nil
}

// Stale implements [signer.Staler].
func (k *key) Stale() bool { return k.stale.Load() }

// Sign implements [signer.Signer].
func (k *key) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	sig, err := k.AlgorithmSigner.Sign(ctx, msg)
	return sig, k.afterwards(ctx, err)
}

// SignAlgorithm implements [signer.AlgorithmSigner].
func (k *key) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	sig, err := k.AlgorithmSigner.SignAlgorithm(ctx, msg, algorithm)
	return sig, k.afterwards(ctx, err)
}

// afterwards finds out whether the key was rotated, deleted or replaced, if a
// signature failed or if the last look was a while ago. It returns err or an error
// that tells more.
func (k *key) afterwards(ctx context.Context, err error) error {
	last, now := k.checked.Load(), k.client.now().UnixNano()
	isDue := now-last >= int64(checkInterval) && k.checked.CompareAndSwap(last, now)
	if ctx.Err() != nil || err == nil && !isDue || err != nil && !mayBeChange(err) {
		return err
	}
	info, lookErr := k.client.readKey(ctx, k.name)
	switch {
	case errors.Is(lookErr, signer.ErrNotFound):
		k.stale.Store(true)
		if err != nil {
			return lookErr
		}
	case lookErr == nil && !k.isNewest(info):
		k.stale.Store(true)
		if err != nil {
			return fmt.Errorf("%w (the transit key was rotated or replaced: its newest version is %d and this is version %d)", err, info.Latest, k.version)
		}
	}
	return err
}

// mayBeChange reports whether a signature may have failed because the key changed:
// the server answered, and did not refuse the token.
func mayBeChange(err error) bool {
	return !errors.Is(err, signer.ErrDenied) && !errors.Is(err, signer.ErrLocked) && !errors.As(err, new(*unreachableError))
}

func (k *key) isNewest(info *keyInfo) bool {
	pub, err := info.public(k.version)
	return info.Latest == k.version && err == nil && signer.SameKey(pub, k.PublicKey())
}

// sign asks for a signature. The caller verifies it.
func (k *key) sign(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	request := map[string]any{"input": base64.StdEncoding.EncodeToString(msg), "key_version": k.version}
	maps.Copy(request, parametersOf(k.PublicKey(), algorithm))
	var reply struct {
		Data struct {
			Signature string `json:"signature"`
		} `json:"data"`
	}
	err := k.client.call(ctx, http.MethodPost, k.client.mount+"/sign/"+k.name, request, &reply)
	if err != nil {
		return nil, err
	}
	blob, err := k.decode(reply.Data.Signature)
	if err != nil {
		return nil, fmt.Errorf("%s sent a signature that cannot be read: %w", k.client, err)
	}
	return &ssh.Signature{Format: algorithm, Blob: blob}, nil
}

// parametersOf returns the fields of a sign request that depend on the algorithm.
// OpenSSH's algorithms name the hash: RFC 5656, section 6.2.1, and RFC 8332. Ed25519
// has none: the server ignores "prehashed" there, so it is never sent.
func parametersOf(pub ssh.PublicKey, algorithm string) map[string]any {
	hash := map[string]string{
		ssh.KeyAlgoRSASHA256: "sha2-256", ssh.KeyAlgoRSASHA512: "sha2-512",
		ssh.KeyAlgoECDSA256: "sha2-256", ssh.KeyAlgoECDSA384: "sha2-384", ssh.KeyAlgoECDSA521: "sha2-512",
	}[algorithm]
	switch {
	case pub.Type() == ssh.KeyAlgoRSA:
		return map[string]any{"hash_algorithm": hash, "signature_algorithm": "pkcs1v15"}
	case hash != "":
		return map[string]any{"hash_algorithm": hash, "marshaling_algorithm": "asn1"}
	}
	return nil
}

// decode reads "vault:vN:BASE64" and returns the blob of an SSH signature.
func (k *key) decode(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, "vault:v"+strconv.Itoa(k.version)+":")
	if !ok {
		return nil, fmt.Errorf("it is not one of version %d", k.version)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	if _, isECDSA := k.PublicKey().(ssh.CryptoPublicKey).CryptoPublicKey().(*ecdsa.PublicKey); !isECDSA {
		return raw, nil
	}
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(raw, &rs); err != nil || len(rest) > 0 {
		return nil, errors.New("it is not ASN.1")
	}
	return ssh.Marshal(rs), nil
}

var _ signer.Staler = (*key)(nil)
