// Package guard tells in which protocol a signature of a text would be valid, and
// makes signers that sign only for some protocols.
//
// One key may log in over SSH, sign commits and open a registry. Each protocol has
// its own form of text, so the form tells the purpose of a signature: a program that
// signs texts of others must not sign a login.
package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Purpose names the protocol in which a signature of a text would be valid. Where
// it allows signatures, it may also name their audience, after a space:
// "ollama.registry https://registry.example.com" allows requests to that token
// endpoint only, and "sshsig git" allows signatures of that namespace only.
// [ParsePurpose] checks a Purpose that a person wrote.
type Purpose string

// The purposes. The first two are Ollama's, the third is countersign's own; Raw is none of the others.
const (
	Registry Purpose = "ollama.registry"    // a request to a registry's token endpoint
	API      Purpose = "ollama.api"         // a request to Ollama's API
	Helper   Purpose = "countersign.helper" // a secret that a credential helper gives to a client
	Cavage   Purpose = "http.cavage"        // an HTTP signature as Gitea and CloudAPI verify it
	RFC9421  Purpose = "http.rfc9421"       // an HTTP message signature
	JWS      Purpose = "jws"                // a JSON Web Signature
	SSHSig   Purpose = "sshsig"             // ssh-keygen -Y sign, which git uses
	UserAuth Purpose = "ssh.userauth"       // an SSH login
	Cert     Purpose = "ssh.cert"           // an SSH certificate
	KRL      Purpose = "ssh.krl"            // an SSH key revocation list
	Digest   Purpose = "digest"             // a bare digest, as an SSH host signs it
	TLS13    Purpose = "tls13"              // a TLS 1.3 handshake
	ASN1     Purpose = "asn1"               // X.509, CMS and other ASN.1 structures
	DSSE     Purpose = "dsse"               // a DSSE envelope
	Saltpack Purpose = "saltpack"           // a saltpack message
	Raw      Purpose = "raw"
)

// ErrPurpose: the text has a purpose that is not allowed. Nothing was signed.
var ErrPurpose = errors.New("refused to sign")

// PurposeOf returns the purpose of msg, by its form, without an audience. It takes Ollama's two forms
// strictly: a text that differs from them in any way has another purpose. It takes
// all other forms generously: no text that one of their verifiers accepts is Raw.
func PurposeOf(msg []byte) Purpose { return protocolOf(msg).purpose }

// Check returns nil if the purpose of msg is one of allowed, and otherwise an error
// that wraps ErrPurpose. The error repeats nothing of msg, except the audience if one
// of allowed names another audience.
func Check(msg []byte, allowed ...Purpose) error {
	p := protocolOf(msg)
	audience := p.audienceOf(msg)
	if slices.Contains(allowed, p.purpose) || audience != "" && slices.Contains(allowed, p.purpose.For(audience)) {
		return nil
	}
	if p.purpose == Raw {
		return fmt.Errorf("%w: the text belongs to no known protocol (%s): %s", ErrPurpose, Raw, list(allowed))
	}
	purpose := p.purpose
	if audience != "" && slices.ContainsFunc(allowed, func(a Purpose) bool { return a.Protocol() == p.purpose }) {
		purpose = purpose.For(audience)
	}
	return fmt.Errorf("%w: the signature would be valid for %s (%s): %s", ErrPurpose, p.use, purpose, list(allowed))
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
