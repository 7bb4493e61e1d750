package config_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// fingerprint is that of newSigner's key.
const fingerprint = "SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo"

func newSigner(t *testing.T) signer.Signer {
	t.Helper()
	s, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stores answers for each scheme with a key or with an error.
func stores(t *testing.T) signer.Mux {
	answer := func(s signer.Signer, err error) signer.Backend {
		return signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return s, err })
	}
	return signer.Mux{
		"env":     answer(nil, fmt.Errorf("%w: no such variable", signer.ErrNotFound)),
		"keyring": answer(nil, fmt.Errorf("%w: no bus", signer.ErrUnavailable)),
		"file":    answer(newSigner(t), nil),
		"locked":  answer(nil, signer.ErrLocked),
		"damaged": answer(nil, errors.New("damaged key")),
		"slow":    answer(nil, fmt.Errorf("%w: %w", signer.ErrUnavailable, context.DeadlineExceeded)),
	}
}

// choice has the references in one line of a file.
func choice(refs ...string) config.Choice {
	c := config.Choice{Registry: "https://registry.example.com"}
	for _, ref := range refs {
		c.Candidates = append(c.Candidates, config.Candidate{Ref: ref, Source: config.Source{Level: config.FromFile, File: "c.toml", Line: 7}})
	}
	return c
}

func asked(ref string) config.Choice {
	return (&config.Config{}).Choose(config.Query{Flag: ref})
}

func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		name   string
		choice config.Choice
		want   error // nil if a key is taken
		err    string
		text   string
	}{
		{
			"the first that is there", choice("env:K", "keyring:k", "file:f", "locked:l"), nil, "",
			"env:K, from c.toml:7: passed over: key not found: no such variable\n" +
				"keyring:k, from c.toml:7: passed over: key store unavailable: no bus\n" +
				"file:f, from c.toml:7: taken: " + fingerprint,
		},
		{
			"locked ends the search", choice("env:K", "locked:l", "file:f"), signer.ErrLocked,
			"open locked:l: key is locked; passed over: env:K (the keys are from c.toml:7)",
			"env:K, from c.toml:7: passed over: key not found: no such variable\n" +
				"locked:l, from c.toml:7: failed: key is locked",
		},
		{
			"a store without an answer ends the search", choice("slow:s", "file:f"), context.DeadlineExceeded,
			"open slow:s: key store unavailable: context deadline exceeded (the keys are from c.toml:7)",
			"slow:s, from c.toml:7: failed: key store unavailable: context deadline exceeded",
		},
		{
			"none", choice("env:K", "keyring:k"), signer.ErrNotFound,
			"key not found: tried env:K, keyring:k (unavailable) (the keys are from c.toml:7)",
			"env:K, from c.toml:7: passed over: key not found: no such variable\n" +
				"keyring:k, from c.toml:7: passed over: key store unavailable: no bus",
		},
		{
			"asked for", asked("file:f"), nil, "",
			"file:f, from --key: taken: " + fingerprint,
		},
		{
			"asked for and not there", asked("env:K"), signer.ErrNotFound,
			"open env:K: key not found: no such variable (--key asks for this key and no other)",
			"env:K, from --key: failed: key not found: no such variable",
		},
		{
			"asked for in a store that is not there", asked("keyring:k"), signer.ErrUnavailable,
			"open keyring:k: key store unavailable: no bus (--key asks for this key and no other)",
			"keyring:k, from --key: failed: key store unavailable: no bus",
		},
		{
			"nothing to try",
			config.Choice{},
			signer.ErrNotFound,
			"key not found: no references to try (no key was named)", "",
		},
		{
			"asked for nothing",
			config.Choice{Binding: true},
			signer.ErrNotFound,
			"key not found: no references to try (no key was named)", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, e, err := tt.choice.Open(t.Context(), stores(t))
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && err.Error() != tt.err {
				t.Errorf("got\n%v\nwant\n%s", err, tt.err)
			}
			if diff := cmp.Diff(tt.text, e.String()); diff != "" {
				t.Errorf("explanation (-want +got):\n%s", diff)
			}
			if (s == nil) != (err != nil) {
				t.Errorf("got %v and %v", s, err)
			}
			if e.Registry != tt.choice.Registry {
				t.Errorf("got registry %q", e.Registry)
			}
		})
	}
}

// A program that knows nothing of sections gets help with the built-in order.
func TestOpenBuiltIn(t *testing.T) {
	m := stores(t)
	m["file"] = m["env"]
	var c config.Config
	_, _, err := c.Choose(config.Query{}).Open(t.Context(), m)
	hint, _ := signer.HintOf(err)
	if !errors.Is(err, signer.ErrNotFound) || !strings.Contains(hint.Do, "COUNTERSIGN_KEY") {
		t.Errorf("got %v with the hint %+v, want how to name another key", err, hint)
	}
}

func TestOpenRepeatsNoKey(t *testing.T) {
	const seed = "q6sVrn4BNZWvXiRPXOLFHZe3L0mcc0wbFWHWnDqFGzw"
	var c config.Config
	for _, ref := range []string{seed, "env:" + seed, "file:" + seed, "keyring:" + seed, "q6sVrn4B:" + seed} {
		_, e, err := asked(ref).Open(t.Context(), c.Backends())
		all := fmt.Sprintf("%v %+v %s", err, e, marshal(t, e))
		if !errors.Is(err, signer.ErrName) || strings.Contains(all, seed) || strings.Contains(all, "q6sVrn4B") {
			t.Errorf("got %s", all)
		}
	}
	bare := signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return nil, signer.ErrName })
	if _, e, _ := asked(seed).Open(t.Context(), bare); e.Tried[0].Ref != "" {
		t.Errorf("a backend without a Mux: got %+v", e)
	}
	_, e, _ := asked(seed).Open(t.Context(), c.Backends())
	if got := e.String(); !strings.HasPrefix(got, "a malformed reference, from --key: failed: ") {
		t.Errorf("got %s", got)
	}
}

func marshal(t *testing.T, e config.Explanation) string {
	t.Helper()
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "\n"
}

// docs/configuration.md promises this form.
func TestJSON(t *testing.T) {
	for name, c := range map[string]config.Choice{
		"taken":  choice("env:K", "file:f"),
		"failed": choice("env:K", "locked:l"),
		"asked":  asked("nonsense"),
		"none":   {},
	} {
		_, e, _ := c.Open(t.Context(), stores(t))
		path := filepath.Join("testdata", name+".json")
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), marshal(t, e)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// The signer signs as the one inside, and says why it is used.
func TestChosen(t *testing.T) {
	s, _, err := choice("env:K", "file:f").Open(t.Context(), stores(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s); got != "file:f, from c.toml:7" {
		t.Errorf("prints as %q", got)
	}
	sig, err := s.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PublicKey().Verify([]byte("message"), sig); err != nil {
		t.Error(err)
	}
	if s.(signer.Staler).Stale() {
		t.Error("a key in memory is stale")
	}
}

// The key of a configuration signs with each algorithm that it has.
func TestChosenAlgorithms(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		t.Fatal(err)
	}
	stores := signer.Mux{"file": signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return key, nil })}
	s, _, err := choice("file:f").Open(t.Context(), stores)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(signer.Algorithms(key), signer.Algorithms(s)); diff != "" {
		t.Errorf("Algorithms (-want +got):\n%s", diff)
	}
	sig, err := signer.SignAlgorithm(t.Context(), s, []byte("message"), "rsa-sha2-256")
	if err != nil || sig.Format != "rsa-sha2-256" {
		t.Errorf("got %v, %v", sig, err)
	}
}

// TestProbe wants the explanation of Open, without the key.
func TestProbe(t *testing.T) {
	choice := config.Choice{Candidates: []config.Candidate{{Ref: "env:A"}, {Ref: "keyring:b"}, {Ref: "file:c"}}}
	for name, test := range map[string]struct {
		errs     map[string]error
		want     error
		outcomes []config.Outcome
	}{
		"the second": {map[string]error{"env:A": signer.ErrNotFound}, nil, []config.Outcome{config.PassedOver, config.Taken}},
		"locked":     {map[string]error{"env:A": signer.ErrNotFound, "keyring:b": signer.ErrLocked}, signer.ErrLocked, []config.Outcome{config.PassedOver, config.Failed}},
		"none": {
			map[string]error{"env:A": signer.ErrNotFound, "keyring:b": signer.ErrUnavailable, "file:c": signer.ErrNotFound},
			signer.ErrNotFound,
			[]config.Outcome{config.PassedOver, config.PassedOver, config.PassedOver},
		},
	} {
		e, err := choice.Probe(t.Context(), func(_ context.Context, ref string) error { return test.errs[ref] })
		var outcomes []config.Outcome
		for _, tried := range e.Tried {
			outcomes = append(outcomes, tried.Outcome)
			if !errors.Is(tried.Err, test.errs[tried.Ref]) {
				t.Errorf("%s: %s: got %v", name, tried.Ref, tried.Err)
			}
		}
		if diff := cmp.Diff(test.outcomes, outcomes); diff != "" || !errors.Is(err, test.want) || e.Fingerprint != "" {
			t.Errorf("%s: %v, %+v\n%s", name, err, e, diff)
		}
	}
}
