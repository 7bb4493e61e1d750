package signer_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/countersign/countersign/signer"
)

// wrongMode is an error type that carries its own hint.
type wrongMode struct{ path string }

func (e *wrongMode) Error() string { return e.path + " has mode 0644" }

func (e *wrongMode) Hint() signer.Hint { return signer.Hint{Do: "chmod 600 " + e.path} }

func TestHintOf(t *testing.T) {
	unlock := signer.Hint{Do: "unlock the keychain", See: "keychain#locked"}
	topic := signer.Hint{See: "keychain"}
	locked := signer.WithHint(fmt.Errorf("%w: login", signer.ErrLocked), unlock)
	tests := []struct {
		name string
		err  error
		want signer.Hint
		ok   bool
	}{
		{"nil", nil, signer.Hint{}, false},
		{"no hint", signer.ErrLocked, signer.Hint{}, false},
		{"empty hint", signer.WithHint(signer.ErrLocked, signer.Hint{}), signer.Hint{}, false},
		{"hint", locked, unlock, true},
		{"below other errors", fmt.Errorf("get key: %w", signer.Wrap("open", "keyring:x", locked)), unlock, true},
		{"joined", errors.Join(signer.ErrName, locked), unlock, true},
		{"the outermost counts", signer.WithHint(locked, topic), topic, true},
		{"another package's type", fmt.Errorf("read: %w", &wrongMode{"/k"}), signer.Hint{Do: "chmod 600 /k"}, true},
		{"of First", &signer.SearchError{Err: locked}, unlock, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := signer.HintOf(tt.err)
			if got != tt.want || ok != tt.ok {
				t.Errorf("HintOf = %+v, %v; want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestWithHintKeepsTextAndCause(t *testing.T) {
	cause := fmt.Errorf("%w: login", signer.ErrLocked)
	err := signer.WithHint(cause, signer.Hint{Do: "unlock it"})
	wantIs(t, err, signer.ErrLocked)
	for _, verb := range []string{"%v", "%s"} {
		if got := fmt.Sprintf(verb, err); got != cause.Error() {
			t.Errorf("%s prints %q, want %q", verb, got, cause)
		}
	}
	if err := signer.WithHint(nil, signer.Hint{Do: "x"}); err != nil {
		t.Errorf("WithHint(nil) = %v, want nil", err)
	}
}
