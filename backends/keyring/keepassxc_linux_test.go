package keyring_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer/signertest"
)

func TestKeePassXC(t *testing.T) {
	start := func(t testing.TB) *secretservice.Session {
		s, _ := secretservice.StartKeePassXC(t, secretservice.KeePassXC{})
		return s
	}
	if !secretservice.Rerun(t, start) {
		return
	}
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{
			Backend:  &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: patience},
			BadNames: badNames,
		}
	})
}

// confirming returns a session whose KeePassXC asks before a program reads an
// item, and the key that it holds.
func confirming(t *testing.T) (*secretservice.Session, *secretservice.Display, outcome) {
	t.Helper()
	s, display := secretservice.StartKeePassXC(t, secretservice.KeePassXC{ConfirmAccess: true})
	return s, display, generate(t, s, "key")
}

func TestKeePassXCAllowed(t *testing.T) {
	t.Parallel()
	s, display, made := confirming(t)
	w := startWorker(t, s.Env(), withPrompt(time.Minute))
	w.start("open at once", "key")
	display.Allow()
	if r := w.finish(); r.Key != made.Key {
		t.Errorf("the key opens as %s%s, want %s", r.Key, r.Error, made.Key)
	}
	if r := w.do("open at once", "key"); r.Key != made.Key { // the key is held
		t.Errorf("the key opens again as %s%s, want %s", r.Key, r.Error, made.Key)
	}
	display.AwaitNoPrompt()
}

// Nothing but the key itself needs a person.
func TestKeePassXCAsksNobodyUnasked(t *testing.T) {
	t.Parallel()
	s, display, _ := confirming(t)
	stop := watchPrompts(t, s)
	nobody, person := startWorker(t, s.Env(), secretServiceOnly), startWorker(t, s.Env(), withPrompt(time.Minute))
	tests := []struct {
		w        *worker
		op, name string
		kinds    []string
	}{
		{nobody, "open", "key", []string{"ErrLocked"}},
		{nobody, "passphrase", "key", []string{"ErrLocked"}},
		{nobody, "generate", "key", []string{"ErrExists"}},
		{nobody, "open", "other", []string{"ErrNotFound"}},
		{nobody, "delete", "other", []string{"ErrNotFound"}},
		{nobody, "list", "", nil},
		{person, "generate", "key", []string{"ErrExists"}},
		{person, "open", "other", []string{"ErrNotFound"}},
		{person, "open in the background", "key", []string{"ErrLocked"}},
		{person, "list", "", nil},
	}
	for _, tt := range tests {
		r := tt.w.do(tt.op, tt.name)
		if !slices.Equal(r.Kinds, tt.kinds) || tt.kinds == nil && r.Error != "" {
			t.Errorf("%s %s: got error %q, want %v", tt.op, tt.name, r.Error, tt.kinds)
		}
		if tt.op == "list" && !slices.Equal(r.Names, []string{"key"}) {
			t.Errorf("list: got %q, want the key", r.Names)
		}
	}
	if n := stop(); n != 0 || display.IsOpen() {
		t.Errorf("%d prompts were asked for", n)
	}
}

func TestKeePassXCDelete(t *testing.T) {
	t.Parallel()
	s, display := secretservice.StartKeePassXC(t, secretservice.KeePassXC{ConfirmDelete: true})
	generate(t, s, "key")
	w := startWorker(t, s.Env(), withPrompt(time.Minute))

	w.start("delete", "key")
	display.Dismiss()
	if r := w.finish(); !slices.Equal(r.Kinds, []string{"ErrDenied"}) {
		t.Errorf("delete, answered with no: got error %q, want ErrDenied", r.Error)
	}
	if r := w.do("list", ""); !slices.Equal(r.Names, []string{"key"}) {
		t.Errorf("after a delete that was refused: list is %q %s", r.Names, r.Error)
	}

	w.start("delete", "key")
	display.AllowDelete()
	if r := w.finish(); r.Error != "" {
		t.Errorf("delete, answered with yes: %s", r.Error)
	}
	if r := w.do("open", "key"); !slices.Equal(r.Kinds, []string{"ErrNotFound"}) {
		t.Errorf("open of a deleted key: got error %q, want ErrNotFound", r.Error)
	}
}

// impatient is for an answer that does not come, on a busy machine.
var impatient = settings{Stores: []keyring.Store{keyring.SecretService}, Timeout: 5 * time.Second}

// A change that is confirmed after its time is up was not done when it was
// reported.
func TestKeePassXCDeleteUnanswered(t *testing.T) {
	t.Parallel()
	s, display := secretservice.StartKeePassXC(t, secretservice.KeePassXC{ConfirmDelete: true})
	generate(t, s, "key")
	r := startWorker(t, s.Env(), impatient).do("delete", "key")
	if !slices.Equal(r.Kinds, []string{"ErrLocked", "DeadlineExceeded"}) || !strings.Contains(r.Error, "it was not done") {
		t.Errorf("delete: got error %v %q, want one that says it was not done", r.Kinds, r.Error)
	}
	if !display.IsOpen() {
		t.Error("KeePassXC did not ask")
	}
}

func TestKeePassXCUnlocksDatabase(t *testing.T) {
	t.Parallel()
	s, display := secretservice.StartKeePassXC(t, secretservice.KeePassXC{Locked: true})
	w := startWorker(t, s.Env(), withPrompt(time.Minute))
	w.start("generate", "key")
	display.Answer(secretservice.Password)
	if r := w.finish(); r.Error != "" {
		t.Fatal(r.Error)
	}
	if r := w.do("list", ""); !slices.Equal(r.Names, []string{"key"}) {
		t.Errorf("list is %q %s", r.Names, r.Error)
	}
}

// TestSilentService is about a service that does what it is told and never says
// so: the bus withholds its signals.
func TestSilentService(t *testing.T) {
	t.Parallel()
	s, _ := secretservice.StartKeePassXC(t, secretservice.KeePassXC{})
	s.AddPolicy(`<deny send_interface="org.freedesktop.Secret.Prompt" send_type="signal"/>`)
	w := startWorker(t, s.Env(), impatient)
	made := w.do("generate", "key")
	if made.Error != "" || made.Took < impatient.Timeout {
		t.Fatalf("generate: got error %q after %v, want the key after the time-out", made.Error, made.Took)
	}
	if r := w.do("open", "key"); r.Key != made.Key {
		t.Errorf("the key opens as %s%s, want %s", r.Key, r.Error, made.Key)
	}
	if r := w.do("delete", "key"); r.Error != "" {
		t.Errorf("delete: %s", r.Error)
	}
	if r := w.do("list", ""); r.Error != "" || len(r.Names) != 0 {
		t.Errorf("list is %q %s, want nothing", r.Names, r.Error)
	}
}
