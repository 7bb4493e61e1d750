package signer_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

var rsaAlgorithms = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}

// algorithms returns the algorithms that a key of that kind has.
func (k kind) algorithms() []string {
	if k.format == ssh.KeyAlgoRSASHA512 {
		return rsaAlgorithms
	}
	return []string{k.format}
}

// plain hides the abilities of a Signer.
type plain struct{ signer.Signer }

// checkAlgorithms fails unless s signs with these algorithms and with no other, and
// with the first of them in Sign.
func checkAlgorithms(t *testing.T, s signer.Signer, algorithms ...string) {
	t.Helper()
	if diff := cmp.Diff(algorithms, signer.Algorithms(s)); diff != "" {
		t.Errorf("Algorithms (-want +got):\n%s", diff)
	}
	msg := []byte("hello")
	for _, algorithm := range algorithms {
		sig, err := signer.SignAlgorithm(t.Context(), s, msg, algorithm)
		if err != nil {
			t.Errorf("SignAlgorithm(%q): %v", algorithm, err)
			continue
		}
		if sig.Format != algorithm {
			t.Errorf("SignAlgorithm(%q) made a signature of format %q", algorithm, sig.Format)
		}
		if err := s.PublicKey().Verify(msg, sig); err != nil {
			t.Errorf("SignAlgorithm(%q): %v", algorithm, err)
		}
	}
	for _, algorithm := range []string{ssh.KeyAlgoRSA, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoED25519, "none", ""} {
		if slices.Contains(algorithms, algorithm) {
			continue
		}
		sig, err := signer.SignAlgorithm(t.Context(), s, msg, algorithm)
		wantIs(t, err, signer.ErrUnsupported)
		if sig != nil {
			t.Errorf("SignAlgorithm(%q) made a signature of format %q", algorithm, sig.Format)
		}
	}
	checkSign(t, s, algorithms[0])
}

func TestSignAlgorithm(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			s, err := signer.New(k.key)
			if err != nil {
				t.Fatal(err)
			}
			all, one := k.algorithms(), k.format
			checkAlgorithms(t, s, all...)
			checkAlgorithms(t, plain{s}, one)
			checkAlgorithms(t, signer.Func(s.PublicKey(), s.Sign), one)
			checkAlgorithms(t, signer.AlgorithmFunc(s.PublicKey(), s.(signer.AlgorithmSigner).SignAlgorithm), all...)
			checkAlgorithms(t, signer.FromSSH(newSSH(t, k.key)), all...)
			checkAlgorithms(t, signer.FromSSH(signer.ToSSH(t.Context(), s)), all...)
			checkAlgorithms(t, signer.FromSSH(signer.ToSSH(t.Context(), plain{s})), one)
			for name, open := range map[string]func(signer.Backend) (signer.Signer, error){
				"Mux": func(b signer.Backend) (signer.Signer, error) {
					return signer.Mux{"door": b}.Open(t.Context(), "door:key")
				},
				"Keeper": func(b signer.Backend) (signer.Signer, error) {
					return (&signer.Keeper{Backend: b}).Open(t.Context(), "key")
				},
				"First": func(b signer.Backend) (signer.Signer, error) {
					return signer.First(t.Context(), &signer.Keeper{Backend: signer.Mux{"door": b}}, "door:key")
				},
			} {
				t.Run(name, func(t *testing.T) {
					able, err := open(holds(s))
					if err != nil {
						t.Fatal(err)
					}
					checkAlgorithms(t, able, all...)
					unable, err := open(holds(plain{s}))
					if err != nil {
						t.Fatal(err)
					}
					checkAlgorithms(t, unable, one)
				})
			}
		})
	}
}

func TestSignAlgorithmLocked(t *testing.T) {
	pem, _ := keygen(t, "-t", "rsa", "-b", "2048", "-a", "1", "-N", secret)
	s, err := signer.Parse(t.Context(), pem, says(secret))
	if err != nil {
		t.Fatal(err)
	}
	checkAlgorithms(t, s, rsaAlgorithms...)
}

// A signer of package ssh may support a part of the algorithms.
func TestFromSSHLimited(t *testing.T) {
	key := newSSH(t, newRSA(t))
	for _, algorithm := range rsaAlgorithms {
		limited, err := ssh.NewSignerWithAlgorithms(key, []string{algorithm, ssh.KeyAlgoRSA})
		if err != nil {
			t.Fatal(err)
		}
		s := signer.FromSSH(limited)
		if diff := cmp.Diff([]string{algorithm}, signer.Algorithms(s)); diff != "" {
			t.Errorf("Algorithms (-want +got):\n%s", diff)
		}
		sig, err := signer.SignAlgorithm(t.Context(), s, nil, algorithm)
		if err != nil || sig.Format != algorithm {
			t.Errorf("SignAlgorithm(%q): %v, %v", algorithm, sig, err)
		}
	}
}

// A store may sign with another algorithm than the caller chose.
func TestAlgorithmFuncVerifies(t *testing.T) {
	s, err := signer.New(newRSA(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range rsaAlgorithms {
		store := signer.AlgorithmFunc(s.PublicKey(), func(ctx context.Context, msg []byte, wanted string) (*ssh.Signature, error) {
			other := rsaAlgorithms[0]
			if wanted == other {
				other = rsaAlgorithms[1]
			}
			return signer.SignAlgorithm(ctx, s, msg, other)
		})
		sig, err := store.SignAlgorithm(t.Context(), nil, algorithm)
		wantIs(t, err, signer.ErrUnsupported)
		if sig != nil {
			t.Errorf("got a signature of format %q, want none", sig.Format)
		}
	}
}

func TestSignAlgorithmWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked := signer.AlgorithmFunc(newSigner(t).PublicKey(), func(context.Context, []byte, string) (*ssh.Signature, error) {
		t.Error("the key was asked")
		return nil, nil
	})
	_, err := asked.SignAlgorithm(ctx, nil, ssh.KeyAlgoED25519)
	wantIs(t, err, context.Canceled)
}

func TestToSSHAlgorithms(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			s, err := signer.New(k.key)
			if err != nil {
				t.Fatal(err)
			}
			a := signer.ToSSH(t.Context(), s).(ssh.MultiAlgorithmSigner)
			if diff := cmp.Diff(k.algorithms(), a.Algorithms()); diff != "" {
				t.Errorf("Algorithms (-want +got):\n%s", diff)
			}
			for _, algorithm := range a.Algorithms() {
				sig, err := a.SignWithAlgorithm(rand.Reader, nil, algorithm)
				if err != nil || sig.Format != algorithm {
					t.Errorf("SignWithAlgorithm(%q): %v, %v", algorithm, sig, err)
				}
			}
			if sig, err := a.SignWithAlgorithm(rand.Reader, nil, ""); err != nil || sig.Format != k.format {
				t.Errorf("SignWithAlgorithm without an algorithm: %v, %v", sig, err)
			}
			for _, algorithm := range []string{ssh.KeyAlgoRSA, "none"} {
				_, err := a.SignWithAlgorithm(rand.Reader, nil, algorithm)
				wantIs(t, err, signer.ErrUnsupported)
			}
		})
	}
}

// A peer that knows only SHA-256 gets it.
func TestSSHHandshakeSHA256(t *testing.T) {
	key := signer.ToSSH(t.Context(), newRecorder(t, kind{"RSA", newRSA(t), ssh.KeyAlgoRSASHA512}).Signer)
	err := login(t, key, key, func(s *ssh.ServerConfig, c *ssh.ClientConfig) {
		c.HostKeyAlgorithms = []string{ssh.KeyAlgoRSASHA256}
		s.PublicKeyAuthAlgorithms = []string{ssh.KeyAlgoRSASHA256}
	})
	if err != nil {
		t.Error(err)
	}
}
