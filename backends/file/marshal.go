package file

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

// comment is written into keys, where ssh-keygen writes user@host.
const comment = "countersign"

// marshal returns key as the content of an OpenSSH key file.
func marshal(key crypto.Signer) ([]byte, ssh.PublicKey, error) {
	s, err := signer.New(key) // what Open would refuse is not written
	if err != nil {
		return nil, nil, err
	}
	if k, ok := key.(*rsa.PrivateKey); ok {
		if key, err = completeRSA(k); err != nil {
			return nil, nil, err
		}
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, nil, err
	}
	defer clear(block.Bytes)
	return pem.EncodeToMemory(block), s.PublicKey(), nil
}

// completeRSA returns k with what the format holds besides the primes. A key
// that was not read from a file may lack it, and MarshalPrivateKey then panics.
func completeRSA(k *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if len(k.Primes) != 2 {
		return nil, fmt.Errorf("%w: OpenSSH's format has no place for an RSA key of %d primes", signer.ErrUnsupported, len(k.Primes))
	}
	complete := *k
	complete.Precompute()
	return &complete, nil
}

// publicLine returns pub as the content of a .pub file.
func publicLine(pub ssh.PublicKey) []byte {
	return fmt.Appendf(nil, "%s %s\n", bytes.TrimSpace(ssh.MarshalAuthorizedKey(pub)), comment)
}

// isPublicHalf reports whether the file at path holds pub and no other key.
func isPublicHalf(path string, pub ssh.PublicKey) bool {
	data, _, err := keyfile.Read(path)
	if err != nil {
		return false
	}
	got, _, _, rest, err := ssh.ParseAuthorizedKey(data)
	return err == nil && len(bytes.TrimSpace(rest)) == 0 && bytes.Equal(got.Marshal(), pub.Marshal())
}
