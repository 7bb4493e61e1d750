package signer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// parseLocked returns a key that passphrase unlocks.
func parseLocked(t testing.TB, passphrase signer.PassphraseFunc) signer.Signer {
	t.Helper()
	data := readFile(t, "testdata/id_ed25519_locked")
	s, err := signer.Parse(t.Context(), data, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLockedTellsItsPublicKey(t *testing.T) {
	data, pub := keygen(t, "-N", secret)
	s, err := signer.Parse(t.Context(), data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !signer.SameKey(s.PublicKey(), pub) {
		t.Error("another public key")
	}
}

func TestLockedErrors(t *testing.T) {
	pem, _ := keygen(t, "-t", "ecdsa", "-m", "PEM", "-N", secret)
	cause := errors.New("the terminal is gone")
	fails := func(err error) signer.PassphraseFunc {
		return func(context.Context, string) ([]byte, error) { return nil, err }
	}
	tests := []struct {
		name       string
		passphrase signer.PassphraseFunc
		want       []error
	}{
		{"nobody there", nil, []error{signer.ErrLocked}},
		{"wrong", says("wrong horse"), []error{signer.ErrDenied}},
		{"empty", says(""), []error{signer.ErrDenied}},
		{"no answer", fails(cause), []error{signer.ErrLocked, cause}},
		{"gave up", fails(context.DeadlineExceeded), []error{signer.ErrLocked, context.DeadlineExceeded}},
		{"no", fails(signer.ErrDenied), []error{signer.ErrDenied}},
		// A search for keys must not go on because of a passphrase.
		{"not found", fails(fmt.Errorf("%w: /run/secrets/p", signer.ErrNotFound)), []error{signer.ErrLocked}},
		{"unavailable", fails(signer.ErrUnavailable), []error{signer.ErrLocked}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, whenSigning := parseLocked(t, tt.passphrase).Sign(t.Context(), nil)
			_, whenExporting := signer.ParseRawPrivateKey(t.Context(), readFile(t, "testdata/id_ed25519_locked"), tt.passphrase)
			_, whenParsing := signer.Parse(t.Context(), pem, tt.passphrase)
			for _, err := range []error{whenSigning, whenExporting, whenParsing} {
				for _, want := range tt.want {
					wantIs(t, err, want)
				}
				for _, not := range []error{signer.ErrNotFound, signer.ErrUnavailable} {
					if errors.Is(err, not) {
						t.Errorf("%v passes for %q", err, not)
					}
				}
			}
		})
	}
}

func TestPromptNamesTheKey(t *testing.T) {
	var prompt string
	s := parseLocked(t, func(_ context.Context, p string) ([]byte, error) {
		prompt = p
		return []byte(secret), nil
	})
	checkSign(t, s, ssh.KeyAlgoED25519)
	if !strings.Contains(prompt, ssh.FingerprintSHA256(s.PublicKey())) {
		t.Errorf("the prompt is %q", prompt)
	}
}

func TestPassphraseAskedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, answer := make(chan bool), make(chan bool)
		s := parseLocked(t, func(context.Context, string) ([]byte, error) {
			asked <- true
			<-answer
			return []byte(secret), nil
		})
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() { checkSign(t, s, ssh.KeyAlgoED25519) })
		}
		<-asked
		synctest.Wait() // all 64 are there
		select {
		case <-asked:
			t.Error("asked twice")
		default:
		}
		close(answer)
		callers.Wait()
		checkSign(t, s, ssh.KeyAlgoED25519)
	})
}

func TestPassphraseAskedAgainAfterFailure(t *testing.T) {
	answers := []string{"wrong horse", "", secret}
	s := parseLocked(t, func(context.Context, string) ([]byte, error) {
		next := answers[0]
		answers = answers[1:]
		return []byte(next), nil
	})
	for range 2 {
		_, err := s.Sign(t.Context(), nil)
		wantIs(t, err, signer.ErrDenied)
	}
	checkSign(t, s, ssh.KeyAlgoED25519)
	checkSign(t, s, ssh.KeyAlgoED25519) // an answer too many would panic
}

func TestPromptEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan bool)
		s := parseLocked(t, func(ctx context.Context, _ string) ([]byte, error) {
			<-ctx.Done()
			close(gone)
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		_, err := s.Sign(ctx, nil)
		wantIs(t, err, context.Canceled)
		<-gone
	})
}

func TestNoPromptAfterContext(t *testing.T) {
	s := parseLocked(t, func(context.Context, string) ([]byte, error) {
		t.Error("asked for a caller who was gone")
		return nil, signer.ErrDenied
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Sign(ctx, nil)
		wantIs(t, err, context.Canceled)
	})
}

// bcrypt knows no context, and its rounds are the file's to choose.
func TestUnlockingEndsWithContext(t *testing.T) {
	h := readHeader(t, readFile(t, "testdata/id_ed25519_locked"))
	options := []byte(h.KDFOptions) // string salt, uint32 rounds
	binary.BigEndian.PutUint32(options[len(options)-4:], 100)
	h.KDFOptions = string(options)

	ctx, cancel := context.WithCancel(t.Context())
	_, err := signer.ParseRawPrivateKey(ctx, h.pem(), func(context.Context, string) ([]byte, error) {
		cancel()
		return []byte(secret), nil
	})
	wantIs(t, err, context.Canceled)
}

// A user who can write to the file could put another public key into it.
func TestForeignHeaderBeforeLockedHalf(t *testing.T) {
	data, _ := keygen(t, "-N", secret)
	_, foreign := keygen(t)
	h := readHeader(t, data)
	h.Pub = foreign.Marshal()

	s, err := signer.Parse(t.Context(), h.pem(), says(secret))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(t.Context(), nil)
	wantText(t, err, "belongs to another private key")
	if sig != nil {
		t.Error("signed all the same")
	}
}

func TestUnlockInTheBackground(t *testing.T) {
	asked := 0
	s := parseLocked(t, func(context.Context, string) ([]byte, error) {
		asked++
		return []byte(secret), nil
	})
	background := signer.WithoutPrompt(t.Context())
	_, err := s.Sign(background, nil)
	wantIs(t, err, signer.ErrLocked)
	if asked != 0 {
		t.Errorf("asked %d times for a passphrase in the background", asked)
	}
	if _, err := s.Sign(t.Context(), nil); err != nil {
		t.Errorf("in the foreground: %v", err)
	}
	if _, err := s.Sign(background, nil); err != nil {
		t.Errorf("in the background with an unlocked key: %v", err)
	}
}

// The key is locked, not absent, when its passphrase is absent. The remedy for
// the absent passphrase is kept.
func TestAbsentPassphraseKeepsItsHint(t *testing.T) {
	want := signer.Hint{Do: "store the passphrase", See: "keychain"}
	s := parseLocked(t, func(context.Context, string) ([]byte, error) {
		return nil, signer.WithHint(signer.ErrNotFound, want)
	})
	_, err := s.Sign(t.Context(), []byte("message"))
	if !errors.Is(err, signer.ErrLocked) || signer.IsAbsent(err) {
		t.Errorf("Sign: got error %v, want ErrLocked", err)
	}
	if got, _ := signer.HintOf(err); got != want {
		t.Errorf("hint: got %+v, want %+v", got, want)
	}
}
