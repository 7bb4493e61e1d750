package plugin

import (
	"bytes"
	"crypto/ed25519"
	"encoding/asn1"
	"math/big"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestSSHBlob wants the form of ECDSA signatures to change, and no others, also if they
// look like a DER sequence by chance.
func TestSSHBlob(t *testing.T) {
	sequence, err := asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(1), big.NewInt(2)})
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		t.Fatal(err)
	}
	if got := sshBlob(pub, sequence); !bytes.Equal(got, sequence) {
		t.Errorf("Ed25519: %x became %x", sequence, got)
	}
}
