package window

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fyne.io/fyne/v2/test"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// A keychain is a store that can be locked. Its keys are files.
type keychain struct {
	*file.Backend
	locked  bool
	allowed bool // what the person answers
	asked   int
	forgot  int // calls of Forget
}

// Forget implements [signer.Forgetter].
func (k *keychain) Forget(string) { k.forgot++ }

// A keptKey is stale after its store has forgotten it.
type keptKey struct {
	signer.Signer
	store  *keychain
	forgot int
}

func (k keptKey) Stale() bool { return k.forgot != k.store.forgot }

func (k *keychain) open(ctx context.Context, name string) (signer.Signer, error) {
	s, err := k.Backend.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return keptKey{s, k, k.forgot}, nil
}

func (k *keychain) Open(ctx context.Context, name string) (signer.Signer, error) {
	if !k.locked {
		return k.open(ctx, name)
	}
	if !signer.MayPrompt(ctx) {
		return nil, signer.ErrLocked
	}
	k.asked++
	end := signer.BeginPrompt(ctx, "keychain", name)
	time.Sleep(time.Second) // of the bubble's clock: a person thinks
	if !k.allowed {
		end(signer.ErrDenied)
		return nil, signer.ErrDenied
	}
	k.locked = false
	end(nil)
	return k.open(ctx, name)
}

// Probe implements [signer.Prober].
func (k *keychain) Probe(ctx context.Context, name string) (string, error) {
	if k.locked {
		return "", signer.ErrLocked
	}
	key, err := k.Backend.Open(ctx, name)
	if err != nil {
		return "", err
	}
	return string(key.PublicKey().Marshal()), nil
}

// A fixture is the window with one tab, and the parts that it uses.
type fixture struct {
	*testing.T
	registry *challengetest.Registry
	store    *keychain
	window   *Window
	tab      *Tab
	offline  bool
}

// RoundTrip implements [http.RoundTripper]: a network that can fail.
func (f *fixture) RoundTrip(req *http.Request) (*http.Response, error) {
	if f.offline {
		return nil, os.ErrDeadlineExceeded
	}
	return f.registry.Client().Transport.RoundTrip(req)
}

// run runs a test with a window in a bubble.
func run(t *testing.T, body func(*fixture)) {
	synctest.Test(t, func(t *testing.T) {
		r, err := challengetest.Start(challengetest.Config{SignIn: true, InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		r.AddImage("library/demo", "latest", []byte(strings.Repeat("weights", 1000)))
		f := &fixture{T: t, registry: r, store: &keychain{Backend: &file.Backend{}}}
		f.window = New(test.NewApp(), t.TempDir())
		f.tab = f.add(filepath.Join(t.TempDir(), "id_ed25519"))
		body(f)
		f.window.close()
		synctest.Wait()
	})
}

// add adds a tab whose key is a file.
func (f *fixture) add(key string) *Tab {
	f.Helper()
	server, err := challenge.ParseOrigin(f.registry.URL)
	if err != nil {
		f.Fatal(err)
	}
	tab := f.window.Add(&signin.Client{
		Server: server, Keys: signer.Mux{"keyring": f.store}, Key: "keyring:" + key, Base: f, StateDir: f.TempDir(),
	})
	tab.Watch()
	synctest.Wait()
	return tab
}

// tap presses a button, and waits until nothing happens any more.
func (f *fixture) tap(label string) {
	f.Helper()
	if !f.tab.Action.Visible() || f.tab.Action.Text != label {
		f.Fatalf("the button is %q (shown: %v), want %q; the status is %q", f.tab.Action.Text, f.tab.Action.Visible(), label, f.tab.Status.Text)
	}
	test.Tap(f.tab.Action)
	synctest.Wait()
}

func (f *fixture) wantStatus(want string) {
	f.Helper()
	if got := f.tab.Status.Text; got != want {
		f.Errorf("the status is %q, want %q (%s)", got, want, f.tab.Details.Text)
	}
}

// later lets time pass, so that Watch looks again.
func (f *fixture) later() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

// signIn does what a person does on the sign-in page.
func (f *fixture) signIn(page string) {
	f.Helper()
	resp, err := f.registry.Client().PostForm(page, url.Values{})
	if err != nil {
		f.Fatal(err)
	}
	resp.Body.Close()
}

// connect does the whole first run.
func (f *fixture) connect() {
	f.Helper()
	f.wantStatus("Not connected yet.")
	f.tap("Connect")
	f.wantStatus("Waiting until you have signed in ...")
	f.signIn(f.tab.Details.Text)
	f.later()
	f.wantStatus("Connected as challengetest.")
}

func TestMain(m *testing.M) {
	os.Setenv("LANG", "en_US.UTF-8") // Fyne complains about "C"
	os.Exit(m.Run())
}

func TestFirstRun(t *testing.T) {
	run(t, func(f *fixture) {
		f.connect()
		if !strings.Contains(f.tab.Details.Text, "SHA256:") || f.tab.Action.Visible() || !f.tab.SignOut.Visible() {
			t.Errorf("details %q, button %v, sign out %v", f.tab.Details.Text, f.tab.Action.Visible(), f.tab.SignOut.Visible())
		}
		test.Tap(f.tab.SignOut)
		synctest.Wait()
		f.wantStatus("Your key is not connected to an account.")
		f.tap("Connect")
		f.wantStatus("Waiting until you have signed in ...")
		f.tap("Cancel")
		f.wantStatus("Your key is not connected to an account.")
	})
}

func TestPull(t *testing.T) {
	run(t, func(f *fixture) {
		f.connect()
		f.tab.Model.SetText("library/demo")
		test.Tap(f.tab.Pull)
		synctest.Wait()
		f.wantStatus("Connected as challengetest.")
		if f.tab.Bar.Value != 1 || !f.tab.Bar.Visible() {
			t.Errorf("the bar shows %v (shown: %v), want 1", f.tab.Bar.Value, f.tab.Bar.Visible())
		}
		if blobs, err := filepath.Glob(filepath.Join(f.window.folder, "blobs", "sha256-*")); err != nil || len(blobs) != 1 {
			t.Errorf("pulled %v, %v", blobs, err)
		}
		f.tab.Model.SetText("library/none:latest")
		test.Tap(f.tab.Pull)
		synctest.Wait()
		f.wantStatus("The server does not have this model.")
	})
}

func TestSecondServer(t *testing.T) {
	run(t, func(f *fixture) {
		f.connect()
		first := f.tab
		f.tab = f.add(filepath.Join(t.TempDir(), "id_second"))
		f.connect()
		a, b := first.client.State(t.Context()), f.tab.client.State(t.Context())
		if a.Fingerprint == "" || a.Fingerprint == b.Fingerprint {
			t.Errorf("the tabs have the keys %q and %q", a.Fingerprint, b.Fingerprint)
		}
	})
}

func TestLockedKeychain(t *testing.T) {
	run(t, func(f *fixture) {
		f.connect()
		f.store.locked = true
		f.later()
		f.wantStatus("Your key is locked.")
		if f.store.asked != 0 {
			t.Error("the keychain asked though nobody pressed a button")
		}
		f.tap("Unlock") // and the prompt is open
		if !strings.HasPrefix(f.tab.Status.Text, "Another window asks for keyring:") {
			t.Errorf("the status is %q while the prompt is open", f.tab.Status.Text)
		}
		f.later()
		f.wantStatus("You did not allow this app to use your key, or the password was wrong.")
		f.store.allowed = true
		f.tap("Unlock")
		f.later()
		f.wantStatus("Connected as challengetest.")
	})
}

func TestDeletedKey(t *testing.T) {
	run(t, func(f *fixture) {
		f.connect()
		if err := f.store.Delete(t.Context(), strings.TrimPrefix(f.tab.client.Key, "keyring:")); err != nil {
			t.Fatal(err)
		}
		f.later()
		f.connect()
	})
}

func TestOffline(t *testing.T) {
	run(t, func(f *fixture) {
		f.offline = true
		f.tap("Connect")
		f.later()
		f.wantStatus("The server cannot be reached. Are you offline?")
		f.offline = false
		f.tap("Connect")
		f.signIn(f.tab.Details.Text)
		f.later()
		f.wantStatus("Connected as challengetest.")
		f.offline = true
		f.tab.Model.SetText("library/demo")
		test.Tap(f.tab.Pull)
		f.later()
		f.wantStatus("The server cannot be reached. Are you offline?")
	})
}

// TestFirstRunIsShort counts the lines that an author copies for the first run.
func TestFirstRunIsShort(t *testing.T) {
	data, err := os.ReadFile("tab.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(data), "// connect is the first run.")
	body, _, _ := strings.Cut(rest, "func (t *Tab) unlock")
	if lines := strings.Count(body, "\n"); !found || lines >= 60 {
		t.Errorf("the first run has %d lines, want fewer than 60", lines)
	}
}
