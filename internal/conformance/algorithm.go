package conformance

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// checkSignAlgorithm checks the ability [signer.AlgorithmSigner], with an Ed25519
// key, which has one algorithm, and an RSA key. A store that holds no RSA keys skips
// the second half.
func checkSignAlgorithm(t TB, s *store) {
	name, pub := s.stored(t)
	s.checkAlgorithms(t, name, pub)
	if !s.canPut() {
		return
	}
	key := newRSA(t)
	s.checkAlgorithms(t, s.put(t, key), publicKey(t, key))
}

func (s *store) checkAlgorithms(t TB, name string, pub ssh.PublicKey) {
	t.Helper()
	for open, k := range s.openBoth(t, name) {
		algorithms := signer.Algorithms(k)
		if len(algorithms) == 0 || algorithms[0] != algorithmOfSign(pub) {
			t.Errorf("%s: Algorithms returned %q, want %q first", open, algorithms, algorithmOfSign(pub))
		}
		for _, algorithm := range []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoECDSA256,
			ssh.KeyAlgoRSA, // SHA-1
			"none", "",
		} {
			s.checkAlgorithm(t, k, pub, algorithm, slices.Contains(algorithms, algorithm))
		}
		s.signs(t, k, pub, []byte("message")) // with the algorithm of Sign, as before

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.signAlgorithm(ended, k, []byte("message"), algorithmOfSign(pub))
		mustEnd(t, "SignAlgorithm", err, ended)
	}
}

// openBoth opens name in the backend and through a Mux.
func (s *store) openBoth(t TB, name string) map[string]signer.Signer {
	t.Helper()
	direct, err := s.open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	routed, err := s.openRef(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q) through a Mux: %v", name, err)
	}
	return map[string]signer.Signer{"Open": direct, "Open through a Mux": routed}
}

func (s *store) checkAlgorithm(t TB, k signer.Signer, pub ssh.PublicKey, algorithm string, supported bool) {
	t.Helper()
	msg := []byte("message")
	sig, err := s.signAlgorithm(t.Context(), k, msg, algorithm)
	switch {
	case !supported && (sig != nil || !errors.Is(err, signer.ErrUnsupported)):
		t.Errorf("SignAlgorithm(%q), which Algorithms does not name: got %v and error %v, want ErrUnsupported", algorithm, sig, err)
	case supported && err != nil:
		t.Errorf("SignAlgorithm(%q), which Algorithms names: %v", algorithm, err)
	case supported:
		if err := verifyAlgorithm(pub, msg, sig, algorithm); err != nil {
			t.Errorf("SignAlgorithm(%q): %v", algorithm, err)
		}
	}
}

func (s *store) signAlgorithm(ctx context.Context, k signer.Signer, msg []byte, algorithm string) (*ssh.Signature, error) {
	sig, err := signer.SignAlgorithm(ctx, k, msg, algorithm)
	s.remember(err)
	if sig != nil {
		s.remember(sig)
	}
	return sig, err
}
