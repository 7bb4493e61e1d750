package signer_test

import (
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestNothingPrintsTheKey(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			s, err := signer.New(k.key)
			if err != nil {
				t.Fatal(err)
			}
			named, err := signer.Mux{"env": holds(s)}.Open(t.Context(), "env:KEY")
			if err != nil {
				t.Fatal(err)
			}
			keeper := &signer.Keeper{Backend: holds(s)}
			kept, err := keeper.Open(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			signertest.NoSecret(t, k.key,
				s, named, keeper, kept,
				signer.FromSSH(newSSH(t, k.key)),
				signer.Func(s.PublicKey(), s.Sign),
				signer.ToSSH(t.Context(), s),
				struct{ Key signer.Signer }{s},
			)
		})
	}
}

func TestNothingPrintsTheUnlockedKey(t *testing.T) {
	data, _ := keygen(t, "-N", secret)
	key, err := signer.ParseRawPrivateKey(t.Context(), data, says(secret))
	if err != nil {
		t.Fatal(err)
	}
	s, err := signer.Parse(t.Context(), data, says(secret))
	if err != nil {
		t.Fatal(err)
	}
	checkSign(t, s, ssh.KeyAlgoED25519) // unlocked from here on
	signertest.NoSecret(t, key, s, struct{ Key signer.Signer }{s})
}

// No error repeats the input or the passphrase.
func TestNoErrorPrintsTheKey(t *testing.T) {
	key := signertest.NewKey(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	data := pem.EncodeToMemory(block)
	mislabelled := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: block.Bytes})
	for name, data := range map[string][]byte{
		"cut":      data[:len(data)-10],
		"twice":    append(data, data...),
		"mislabel": mislabelled,
		"seed":     key.Seed(),
		"hex seed": fmt.Appendf(nil, "%x", key.Seed()),
	} {
		_, err := signer.Parse(t.Context(), data, nil)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		signertest.NoSecret(t, key, err)
	}

	const wrong = "wrong horse"
	_, err = parseLocked(t, says(wrong)).Sign(t.Context(), nil)
	wantIs(t, err, signer.ErrDenied)
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, wrong) {
		t.Errorf("the error holds the passphrase: %s", text)
	}
}
