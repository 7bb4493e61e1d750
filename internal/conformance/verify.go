package conformance

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// verify checks that sig is a signature that a Signer with the key of pub returns
// for msg.
func verify(pub ssh.PublicKey, msg []byte, sig *ssh.Signature) error {
	return verifyAlgorithm(pub, msg, sig, algorithmOfSign(pub))
}

func algorithmOfSign(pub ssh.PublicKey) string {
	if pub.Type() == ssh.KeyAlgoRSA {
		return ssh.KeyAlgoRSASHA512
	}
	return pub.Type()
}

func verifyAlgorithm(pub ssh.PublicKey, msg []byte, sig *ssh.Signature, format string) error {
	if sig == nil {
		return errors.New("neither a signature nor an error")
	}
	if sig.Format != format {
		return fmt.Errorf("the signature's format is %q, want %q", sig.Format, format)
	}
	if len(sig.Rest) > 0 {
		return fmt.Errorf("the signature has %d bytes in Rest", len(sig.Rest))
	}
	if err := pub.Verify(msg, sig); err != nil {
		return fmt.Errorf("the signature does not verify: %w", err)
	}
	return nil
}
