package signer_test

import (
	"context"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestMuxRoutes(t *testing.T) {
	var got []string
	note := func(backend string) signer.OpenFunc {
		return func(_ context.Context, name string) (signer.Signer, error) {
			got = append(got, backend+" "+name)
			return nil, signer.ErrNotFound
		}
	}
	m := signer.Mux{"env": note("first"), "aws-kms": note("second"), "nested": signer.Mux{"env": note("third")}}
	tests := []struct{ ref, want string }{
		{"env:KEY", "first KEY"},
		{"env:", "first "},
		{"aws-kms:arn:aws:kms:1", "second arn:aws:kms:1"},
		{`env:C:\Users\me\key`, `first C:\Users\me\key`},
		{"nested:env:KEY", "third KEY"},
	}
	for _, tt := range tests {
		got = nil
		_, err := m.Open(t.Context(), tt.ref)
		wantIs(t, err, signer.ErrNotFound)
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("Open(%q) asked %q, want %q", tt.ref, got, tt.want)
		}
	}
}

func TestMuxResolve(t *testing.T) {
	work := new(store)
	b, name, err := signer.Mux{"work": work}.Resolve("work:a:b")
	if err != nil {
		t.Fatal(err)
	}
	if b != work || name != "a:b" {
		t.Errorf("Resolve gave %v and %q, want the backend itself and a:b", b, name)
	}
}

// secretRefs are references that people pass by mistake.
func secretRefs(t *testing.T) map[string]string {
	seed := signertest.NewKey(t).Seed()
	block, err := ssh.MarshalPrivateKey(signertest.NewKey(t), "")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"empty":            "",
		"only a colon":     ":",
		"no scheme":        ":TOKEN",
		"a path":           "/home/me/.ssh/id_ed25519",
		"a Windows path":   `C:\Users\me\key`,
		"a drive":          `c:\Users\me\key`,
		"upper case":       "ENV:TOKEN",
		"a space":          "env :TOKEN",
		"not ASCII":        "clé:TOKEN",
		"an unknown one":   "envv:TOKEN",
		"PEM":              string(pem.EncodeToMemory(block)),
		"hex":              hex.EncodeToString(seed),
		"hex, letters":     strings.Repeat("ab", 32),
		"hex as scheme":    strings.Repeat("ab", 32) + ":TOKEN",
		"hex as name":      "envv:" + hex.EncodeToString(seed),
		"PEM as name":      "envv:" + string(pem.EncodeToMemory(block)),
		"control sequence": "\x1b[31mred",
	}
}

func TestMuxRefusesWithoutEcho(t *testing.T) {
	m := signer.Mux{"env": new(store), "file": new(store)}
	for name, ref := range secretRefs(t) {
		t.Run(name, func(t *testing.T) {
			_, err := m.Open(t.Context(), ref)
			wantIs(t, err, signer.ErrName)
			checkNoEcho(t, err, ref)

			// As a command does that found no backend to generate a key in.
			_, _, err = m.Resolve(ref)
			wantIs(t, err, signer.ErrName)
			checkNoEcho(t, signer.Wrap("generate", ref, err), ref)
		})
	}
}

// checkNoEcho allows a short scheme to be repeated and nothing else.
func checkNoEcho(t *testing.T, err error, ref string) {
	t.Helper()
	for _, part := range []string{ref, ref[strings.Index(ref, ":")+1:]} {
		if len(part) > 2 && strings.Contains(err.Error(), part) {
			t.Errorf("the error repeats %q: %v", part, err)
		}
	}
	if e, ok := errors.AsType[*signer.Error](err); !ok {
		t.Errorf("%T is not an *Error", err)
	} else if len(e.Ref) > 8 {
		t.Errorf("Ref is %q", e.Ref)
	}
}

func TestMuxUnknownSchemeListsTheKnown(t *testing.T) {
	_, err := signer.Mux{"file": new(store), "env": new(store)}.Open(t.Context(), "keychain:me")
	if !strings.Contains(err.Error(), "env, file") {
		t.Errorf("the error does not tell which schemes there are: %v", err)
	}
}

func TestMuxWithholdsMalformedName(t *testing.T) {
	seed := hex.EncodeToString(signertest.NewKey(t).Seed())
	refused := fmt.Errorf("%w: it looks like a key itself", signer.ErrName)
	m := signer.Mux{"env": fails(refused), "nested": signer.Mux{"env": fails(refused)}}
	for ref, want := range map[string]string{
		"env:" + seed:        "open env: malformed key name: it looks like a key itself",
		"nested:env:" + seed: "open nested: open env: malformed key name: it looks like a key itself",
	} {
		_, err := m.Open(t.Context(), ref)
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %v", err, want)
		}
	}
}

func TestMuxErrors(t *testing.T) {
	cause := fmt.Errorf("%w: /x is readable by others", signer.ErrInsecure)
	_, err := signer.Mux{"file": fails(cause)}.Open(t.Context(), "file:/x")
	wantIs(t, err, signer.ErrInsecure)
	e, ok := errors.AsType[*signer.Error](err)
	if !ok || e.Op != "open" || e.Ref != "file:/x" || e.Err != cause {
		t.Errorf("got %#v, want Op, Ref and the cause", err)
	}
	if got, want := err.Error(), "open file:/x: key is not protected: /x is readable by others"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrapNil(t *testing.T) {
	if err := signer.Wrap("open", "env:KEY", nil); err != nil {
		t.Errorf("Wrap made an error of none: %v", err)
	}
}

func TestMuxSignerKnowsItsReference(t *testing.T) {
	inner := newSigner(t)
	s, err := signer.Mux{"env": holds(inner)}.Open(t.Context(), "env:KEY")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s); got != "env:KEY" {
		t.Errorf("the signer prints as %q", got)
	}
	if !signer.SameKey(s.PublicKey(), inner.PublicKey()) {
		t.Error("the signer has another public key than the backend's")
	}
	checkSign(t, s, ssh.KeyAlgoED25519)
}

func TestMuxSignErrorNamesTheKey(t *testing.T) {
	pub := newSigner(t).PublicKey()
	locked := signer.Func(pub, func(context.Context, []byte) (*ssh.Signature, error) {
		return nil, signer.ErrLocked
	})
	s, err := signer.Mux{"env": holds(locked)}.Open(t.Context(), "env:KEY")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(t.Context(), nil)
	wantIs(t, err, signer.ErrLocked)
	if e, ok := errors.AsType[*signer.Error](err); !ok || e.Op != "sign" || e.Ref != "env:KEY" {
		t.Errorf("got %#v, want Op sign and Ref env:KEY", err)
	}
}

// stale is a signer whose store may have another key by now.
type stale struct {
	signer.Signer
	now func() bool
}

func (s stale) Stale() bool { return s.now() }

func TestMuxPassesStale(t *testing.T) {
	replaced := false
	b := signer.Mux{
		"file":   holds(stale{newSigner(t), func() bool { return replaced }}),
		"memory": holds(newSigner(t)),
	}
	isStale := func(ref string) bool {
		s, err := b.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		staler, ok := s.(signer.Staler)
		return ok && staler.Stale()
	}
	if isStale("file:x") || isStale("memory:x") {
		t.Error("a signer is stale from the start")
	}
	replaced = true
	if !isStale("file:x") {
		t.Error("Stale of the backend's signer does not come through")
	}
}
