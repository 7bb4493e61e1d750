package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// keychain has a key that nobody may open without asking.
type keychain struct{ t *testing.T }

func (k keychain) Open(context.Context, string) (signer.Signer, error) {
	k.t.Error("the key was opened")
	return nil, signer.ErrDenied
}

func (k keychain) List(context.Context) ([]signer.Info, error) {
	return []signer.Info{{Name: "ollama"}}, nil
}

// Reading from the Keychain of macOS may ask somebody, so nothing is read.
func TestDoctorDoesNotOpenTheKeychain(t *testing.T) {
	d, keys := &doctor{config: &config.Config{}}, signer.Mux{"keyring": listedOnly(keychain{t})}
	for ref, want := range map[string]error{"keyring:ollama": errNotOpened, "keyring:other": signer.ErrNotFound} {
		if _, err := keys.Open(t.Context(), ref); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", ref, err, want)
		}
	}
	choice := d.config.Choose(config.Query{Flag: "keyring:ollama"})
	_, e, err := choice.Open(t.Context(), keys)
	if f := d.unusable(check{name: "key"}, e, err); f.State != stateNote || !strings.Contains(f.Seen, "keyring:ollama") {
		t.Errorf("got %+v, want a note", f)
	}
}

// A check that hangs or panics does not keep the other checks from reporting.
func TestDoctorBoundsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		hanging := check{name: "hangs", run: func(context.Context) []finding { <-forever; return nil }}
		patient := check{name: "waits"}
		patient.run = func(ctx context.Context) []finding {
			<-ctx.Done()
			return []finding{patient.failed(stateWarning, errors.New("the store says nothing (docs/keychain.md#no-answer)"))}
		}
		broken := check{name: "panics", run: func(context.Context) []finding { panic("a secret") }}
		quick := check{name: "answers"}
		quick.run = func(context.Context) []finding { return []finding{quick.found(stateOK, "here", "")} }
		want := []finding{
			{State: stateProblem, Check: "hangs", Seen: "no answer in time"},
			{State: stateWarning, Check: "waits", Seen: "the store says nothing", Do: "see docs/keychain.md#no-answer"},
			{State: stateOK, Check: "answers", Seen: "here"},
		}
		got := examine(t.Context(), []check{hanging, patient, quick, broken})
		if diff := cmp.Diff(want, got[:3]); diff != "" {
			t.Error(diff)
		}
		if f := got[3]; f.State != stateProblem || !strings.HasPrefix(f.Seen, "panic in ") || strings.Contains(f.Seen, "secret") {
			t.Errorf("got %+v, want a problem that tells of the panic without its value", f)
		}
	})
}
