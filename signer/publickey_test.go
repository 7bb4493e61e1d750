package signer_test

import (
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

func TestSameKey(t *testing.T) {
	a, b := newSigner(t).PublicKey(), newSigner(t).PublicKey()
	again, err := ssh.ParsePublicKey(a.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		a, b ssh.PublicKey
		want bool
	}{{a, a, true}, {a, again, true}, {a, b, false}, {a, nil, false}, {nil, a, false}, {nil, nil, false}} {
		if got := signer.SameKey(tt.a, tt.b); got != tt.want {
			t.Errorf("SameKey(%v, %v) = %v", tt.a, tt.b, got)
		}
	}
}
