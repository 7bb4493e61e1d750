package keyring_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/secretservice"
)

// TestProbe wants the state of a key through its life, without a prompt.
func TestProbe(t *testing.T) {
	t.Parallel()
	display := secretservice.StartDisplay(t)
	s := secretservice.StartBus(t, display.Env())
	s.AddPrompter()
	s.StartKeyring("password")
	stop := watchPrompts(t, s)
	w, other := startWorker(t, s.Env(), withPrompt(time.Minute)), startWorker(t, s.Env(), secretServiceOnly)
	probe := func(wantKinds ...string) string {
		t.Helper()
		r := w.do("probe", "key")
		if diff := cmp.Diff(wantKinds, r.Kinds); diff != "" {
			t.Errorf("%s\n%s", r.Error, diff)
		}
		return r.Key
	}
	probe("ErrNotFound")
	other.do("generate", "key")
	first := probe()
	if again := probe(); again != first || first == "" {
		t.Errorf("the same key has the versions %q and %q", first, again)
	}
	w.do("open", "key")
	s.Lock()
	if locked := probe("ErrLocked"); locked != first {
		t.Errorf("the same key, locked, has the versions %q and %q", first, locked)
	}
	if n := stop(); n != 0 {
		t.Errorf("%d prompts were opened", n)
	}
	s.KillKeyring()
	probe("ErrUnavailable")
}

func TestProbeNoticesAnotherKey(t *testing.T) {
	t.Parallel()
	s := secretservice.Start(t)
	w, other := startWorker(t, s.Env(), secretServiceOnly), startWorker(t, s.Env(), secretServiceOnly)
	old := other.do("generate", "key")
	if r := w.do("open", "key"); r.Key != old.Key {
		t.Fatal(r.Error)
	}
	first := w.do("probe", "key").Key
	other.do("delete", "key")
	made := other.do("generate", "key")
	if second := w.do("probe", "key").Key; second == first || second == "" {
		t.Errorf("two keys have the version %q", first)
	}
	if r := w.do("open", "key"); r.Key != old.Key {
		t.Errorf("the opened key was not kept: %s, %s", r.Key, r.Error)
	}
	w.do("forget", "key")
	if r := w.do("open", "key"); r.Key != made.Key {
		t.Errorf("after Forget: %s, %s; want the new key %s", r.Key, r.Error, made.Key)
	}
}
