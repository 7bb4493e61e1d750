// Package guard tells in which protocol a signature of a text would be valid, and
// makes signers that sign only for some protocols.
//
// One key may log in over SSH, sign commits and open a registry. Each protocol has
// its own form of text, so the form tells the purpose of a signature: a program that
// signs texts of others must not sign a login.
package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// A Purpose names the protocol in which a signature of a text would be valid.
type Purpose string

// The purposes. The first two are Ollama's; Raw is none of the others.
const (
	Registry Purpose = "ollama.registry" // a request to a registry's token endpoint
	API      Purpose = "ollama.api"      // a request to Ollama's API
	Cavage   Purpose = "http.cavage"     // an HTTP signature as Gitea and CloudAPI verify it
	RFC9421  Purpose = "http.rfc9421"    // an HTTP message signature
	JWS      Purpose = "jws"             // a JSON Web Signature
	SSHSig   Purpose = "sshsig"          // ssh-keygen -Y sign, which git uses
	UserAuth Purpose = "ssh.userauth"    // an SSH login
	Cert     Purpose = "ssh.cert"        // an SSH certificate
	KRL      Purpose = "ssh.krl"         // an SSH key revocation list
	Digest   Purpose = "digest"          // a bare digest, as an SSH host signs it
	TLS13    Purpose = "tls13"           // a TLS 1.3 handshake
	ASN1     Purpose = "asn1"            // X.509, CMS and other ASN.1 structures
	DSSE     Purpose = "dsse"            // a DSSE envelope
	Saltpack Purpose = "saltpack"        // a saltpack message
	Raw      Purpose = "raw"
)

// ErrPurpose: the text has a purpose that is not allowed. Nothing was signed.
var ErrPurpose = errors.New("refused to sign")

// PurposeOf returns the purpose of msg, by its form. It takes Ollama's two forms
// strictly: a text that differs from them in any way has another purpose. It takes
// all other forms generously: no text that one of their verifiers accepts is Raw.
func PurposeOf(msg []byte) Purpose { return protocolOf(msg).purpose }

// Check returns nil if the purpose of msg is one of allowed, and otherwise an error
// that wraps ErrPurpose. The error repeats nothing of msg.
func Check(msg []byte, allowed ...Purpose) error {
	p := protocolOf(msg)
	switch {
	case slices.Contains(allowed, p.purpose):
		return nil
	case p.purpose == Raw:
		return fmt.Errorf("%w: the text belongs to no known protocol (%s): %s", ErrPurpose, Raw, list(allowed))
	}
	return fmt.Errorf("%w: the signature would be valid for %s (%s): %s", ErrPurpose, p.use, p.purpose, list(allowed))
}

// list returns a clause that tells which purposes are allowed.
func list(allowed []Purpose) string {
	var names []string
	for _, p := range allowed {
		names = append(names, string(p))
	}
	switch last := len(names) - 1; last {
	case -1:
		return "no purpose is allowed"
	case 0:
		return "only " + names[0] + " is allowed"
	default:
		return "only " + strings.Join(names[:last], ", ") + " and " + names[last] + " are allowed"
	}
}

// Only returns a Signer that signs with s if the purpose of the text is one of
// allowed. For all other texts it returns an error that wraps ErrPurpose, and does
// not ask s.
func Only(s signer.Signer, allowed ...Purpose) signer.Signer {
	return &only{s, slices.Clone(allowed)}
}

type only struct {
	signer  signer.Signer
	allowed []Purpose
}

// PublicKey implements [signer.Signer].
func (o *only) PublicKey() ssh.PublicKey { return o.signer.PublicKey() }

// Sign implements [signer.Signer].
func (o *only) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	if err := Check(msg, o.allowed...); err != nil {
		return nil, err
	}
	return o.signer.Sign(ctx, msg)
}

// SignAlgorithm implements [signer.AlgorithmSigner].
func (o *only) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	if err := Check(msg, o.allowed...); err != nil {
		return nil, err
	}
	return signer.SignAlgorithm(ctx, o.signer, msg, algorithm)
}

// Algorithms returns the algorithms of the signer that o limits.
func (o *only) Algorithms() []string { return signer.Algorithms(o.signer) }

// String returns the name that the signer gives itself, such as its reference.
func (o *only) String() string { return fmt.Sprint(o.signer) }

// Stale implements [signer.Staler].
func (o *only) Stale() bool { return signer.IsStale(o.signer) }
