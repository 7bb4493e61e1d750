package signer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// A Mux routes a reference, "scheme:name", to the backend of its scheme. It is
// a plain map that the program fills, and itself a Backend:
//
//	keys := signer.Mux{"env": &env.Backend{}, "file": &file.Backend{}}
//
// A reference never holds a secret. No error repeats a malformed reference,
// because a shell may have expanded "env:$KEY" into the key itself.
type Mux map[string]Backend

// Open opens the key that ref names. Errors are of type *[Error] and wrap the
// backend's; a panic of the backend is an error, too. The signer prints as its
// reference.
func (m Mux) Open(ctx context.Context, ref string) (Signer, error) {
	b, name, err := m.Resolve(ref)
	if err != nil {
		return nil, &Error{Op: "open", Err: err}
	}
	s, err := contain(func() (Signer, error) { return b.Open(withReference(ctx, ref), name) })
	if err != nil {
		return nil, Wrap("open", ref, err)
	}
	return &named{ref, s}, nil
}

// Resolve finds the backend for ref and the name that it gets. It opens
// nothing. Errors: ErrName for a malformed reference; *[SchemeError] for an
// unknown scheme.
func (m Mux) Resolve(ref string) (Backend, string, error) {
	scheme, name, err := splitReference(ref)
	if err != nil {
		return nil, "", err
	}
	b, ok := m[scheme]
	if !ok {
		return nil, "", &SchemeError{slices.Sorted(maps.Keys(m))}
	}
	return b, name, nil
}

func splitReference(ref string) (scheme, name string, err error) {
	scheme, name, ok := strings.Cut(ref, ":")
	if !ok || !isScheme(scheme) {
		return "", "", fmt.Errorf("%w: a reference is scheme:name, such as env:OLLAMA_KEY or file:~/.ollama/id_ed25519", ErrName)
	}
	return scheme, name, nil
}

// A SchemeError is the error of a [Mux] that has no backend for the scheme of a
// reference. It wraps ErrName and does not repeat the scheme.
type SchemeError struct {
	Known []string // the schemes of the Mux, sorted
}

func (e *SchemeError) Error() string {
	return fmt.Sprintf("%v: no backend has the scheme before the colon; there are: %s", ErrName, strings.Join(e.Known, ", "))
}

// Unwrap returns ErrName.
func (e *SchemeError) Unwrap() error { return ErrName }

// Wrap returns err as an *[Error], and nil for nil. It keeps only the scheme of
// ref if the name may be a pasted key: if err is ErrName, or a panic of a backend
// that may not have checked the name.
func Wrap(op, ref string, err error) error {
	if err == nil {
		return nil
	}
	if _, panicked := errors.AsType[*panicError](err); panicked || errors.Is(err, ErrName) {
		scheme, _, ok := strings.Cut(ref, ":")
		ref = scheme + ":"
		if !ok || !isScheme(scheme) {
			ref = ""
		}
	}
	return &Error{Op: op, Ref: ref, Err: err}
}

// isScheme follows RFC 3986, section 3.1, in lower case. A single letter is not a
// scheme, because it is a drive on Windows. A text that is as long as a key is
// not a scheme either.
func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return false
		}
	}
	return 1 < len(s) && len(s) < 32
}

// named is a Signer with the reference that opened it.
type named struct {
	ref string
	s   Signer
}

func (n *named) PublicKey() ssh.PublicKey { return n.s.PublicKey() }

func (n *named) Algorithms() []string { return Algorithms(n.s) }

func (n *named) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	return n.explain(func() (*ssh.Signature, error) { return n.s.Sign(withReference(ctx, n.ref), msg) })
}

func (n *named) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	return n.explain(func() (*ssh.Signature, error) { return SignAlgorithm(ctx, n.s, msg, algorithm) })
}

func (n *named) explain(sign func() (*ssh.Signature, error)) (*ssh.Signature, error) {
	sig, err := contain(sign)
	if err != nil {
		return nil, Wrap("sign", n.ref, err)
	}
	return sig, nil
}

func (n *named) Stale() bool { return IsStale(n.s) }

func (n *named) Locked() bool { return IsLocked(n.s) }

func (n *named) String() string { return n.ref }
