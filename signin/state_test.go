package signin_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// replaceKey puts another key at the place of the client's key, as another program does.
func replaceKey(t *testing.T, c *signin.Client) {
	t.Helper()
	deleteKey(t, c)
	if _, err := new(file.Backend).Generate(t.Context(), strings.TrimPrefix(c.Key, "file:")); err != nil {
		t.Fatal(err)
	}
}

func deleteKey(t *testing.T, c *signin.Client) {
	t.Helper()
	if err := new(file.Backend).Delete(t.Context(), strings.TrimPrefix(c.Key, "file:")); err != nil {
		t.Fatal(err)
	}
}

// restart returns a client as the app has it after the next start.
func restart(c *signin.Client) *signin.Client {
	return &signin.Client{Server: c.Server, Keys: signer.Mux{"file": &file.Backend{}}, Key: c.Key, Base: c.Base, StateDir: c.StateDir}
}

func TestStateFromFirstRunToSignOut(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	c.StateDir = filepath.Join(t.TempDir(), "state")
	if s := c.State(t.Context()); !errors.Is(s.Err, signer.ErrNotFound) || s.Ref != "" || s.IsConnected() {
		t.Errorf("without a key: %+v", s)
	}
	key := ensureKey(t, c)
	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	want := signin.State{Ref: c.Key, Fingerprint: fingerprint, Explanation: config.Explanation{Registry: r.URL, Tried: []config.Tried{
		{Ref: c.Key, Source: config.Source{Level: config.FromProgram}, Outcome: config.Taken},
	}}}
	if diff := cmp.Diff(want, c.State(t.Context())); diff != "" {
		t.Error(diff)
	}
	press(t, r, c, key)
	if _, err := c.Account(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*signin.Client{"the same run": c, "the next run": restart(c)} {
		s := c.State(t.Context())
		account := signin.Account{Name: "challengetest", Fingerprint: fingerprint}
		if s.Account != account || s.Seen.IsZero() || time.Since(s.Seen) > time.Hour || s.Fingerprint != fingerprint {
			t.Errorf("%s, connected: %+v", name, s)
		}
	}
	if err := c.SignOut(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if s := restart(c).State(t.Context()); s.IsConnected() || s.Seen.IsZero() {
		t.Errorf("signed out: %+v", s)
	}
}

// The account of a key is never told of another key at its place.
func TestStateOfAnotherKey(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	c.StateDir = t.TempDir()
	key := ensureKey(t, c)
	press(t, r, c, key)
	if _, err := c.Account(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	replaceKey(t, c)
	for name, c := range map[string]*signin.Client{"the same run": c, "the next run": restart(c)} {
		if s := c.State(t.Context()); s.IsConnected() || !s.Seen.IsZero() || s.Fingerprint == ssh.FingerprintSHA256(key.PublicKey()) {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := c.OpenKey(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := c.State(t.Context()); s.IsConnected() || !s.Seen.IsZero() {
			t.Errorf("%s, opened: %+v", name, s)
		}
	}
}

// An answer for a key that is not used any more is not the state of the key that is.
func TestStateAfterAnswerForOldKey(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	old := ensureKey(t, c)
	press(t, r, c, old)
	replaceKey(t, c)
	ensureKey(t, c)
	if _, err := c.Account(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if s := c.State(t.Context()); s.IsConnected() || !s.Seen.IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestStateOfLockedKeyFile(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	c.Keys = signer.Mux{"file": newAsking()}
	if s := c.State(t.Context()); s.Locked {
		t.Errorf("without a key: %+v", s)
	}
	putLockedKey(t, c)
	if s := restartWith(c, newAsking()).State(t.Context()); !s.Locked || s.Err != nil || s.Ref != c.Key {
		t.Errorf("before the first signature: %+v", s)
	}
	again := restartWith(c, newAsking())
	if _, err := again.Account(t.Context(), ensureKey(t, again)); !errors.Is(err, signin.ErrNotConnected) {
		t.Fatal(err)
	}
	if s := again.State(t.Context()); s.Locked {
		t.Errorf("after the first signature: %+v", s)
	}
}

func restartWith(c *signin.Client, b signer.Backend) *signin.Client {
	next := restart(c)
	next.Keys = signer.Mux{"file": b}
	return next
}

func TestStateFile(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	c.StateDir = filepath.Join(t.TempDir(), "a", "b")
	key := ensureKey(t, c)
	files, err := filepath.Glob(filepath.Join(c.StateDir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	var fields map[string]any
	data, err := os.ReadFile(files[0])
	if err != nil || json.Unmarshal(data, &fields) != nil || fields["fingerprint"] != ssh.FingerprintSHA256(key.PublicKey()) {
		t.Errorf("%s, %v", data, err)
	}
	for _, damage := range []string{"", "{", `{"ref":1}`, "null", strings.Repeat(" ", 1<<17)} {
		if err := os.WriteFile(files[0], []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := restart(c).State(t.Context()); s.Ref != c.Key || s.IsConnected() {
			t.Errorf("%.20q: %+v", damage, s)
		}
		if again := ensureKey(t, restart(c)); !signer.SameKey(again.PublicKey(), key.PublicKey()) {
			t.Errorf("%.20q: a second key was made", damage)
		}
	}
	if two := restart(c); two.StateDir != "" {
		two.StateDir = files[0] // a file: nothing can be written there
		press(t, r, two, key)
		if _, err := two.Account(t.Context(), ensureKey(t, two)); err != nil || !two.State(t.Context()).IsConnected() {
			t.Errorf("a state that cannot be written: %v, %+v", err, two.State(t.Context()))
		}
	}
}

// A key that was used before is not replaced because its store is not running.
func TestEnsureKeyMakesNoneBesideAKeyThatWasUsedBefore(t *testing.T) {
	r := startRegistry(t)
	dir := t.TempDir()
	newClient := func(keychain signer.Backend, files *countingStore) *signin.Client {
		return &signin.Client{
			Server: parseOrigin(t, r.URL), StateDir: filepath.Join(dir, "state"), Base: r.Client().Transport,
			Keys: signer.Mux{"env": failing(signer.ErrNotFound), "keyring": keychain, "file": files},
		}
	}
	key, err := new(file.Backend).Generate(t.Context(), filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	there := signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return key, nil })
	files := &countingStore{Backend: failing(signer.ErrNotFound)}
	ensureKey(t, newClient(there, files))
	_, err = newClient(failing(signer.ErrUnavailable), files).EnsureKey(t.Context())
	if !errors.Is(err, signer.ErrUnavailable) || files.made > 0 || !strings.Contains(err.Error(), ssh.FingerprintSHA256(key.PublicKey())) {
		t.Errorf("made %d keys, %v", files.made, err)
	}
	_, err = newClient(failing(signer.ErrNotFound), files).EnsureKey(t.Context())
	if err == nil || files.made != 1 { // the keychain cannot make keys here, the folder can
		t.Errorf("after the key was deleted: made %d keys, %v", files.made, err)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegistry(t)
		c := newClient(t, r)
		ctx, stop := context.WithCancel(t.Context())
		states := make(chan signin.State, 100)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Watch(ctx, func(s signin.State) { states <- s })
		}()
		next := func(what string, within time.Duration) signin.State {
			t.Helper()
			start := time.Now()
			s := <-states
			if took := time.Since(start); took > within {
				t.Errorf("%s: told after %v", what, took)
			}
			if len(states) > 0 {
				t.Errorf("%s: told twice: %+v", what, <-states)
			}
			return s
		}
		const atOnce, watchInterval = 0, 2 * time.Second
		if s := next("no key", atOnce); !errors.Is(s.Err, signer.ErrNotFound) {
			t.Errorf("no key: %+v", s)
		}
		first := ensureKey(t, c)
		synctest.Wait()
		if s := next("a new key", atOnce); s.Fingerprint != ssh.FingerprintSHA256(first.PublicKey()) || s.IsConnected() {
			t.Errorf("a new key: %+v", s)
		}
		press(t, r, c, first)
		if _, err := c.Account(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := next("connected", atOnce); !s.IsConnected() {
			t.Errorf("connected: %+v", s)
		}
		time.Sleep(time.Minute + watchInterval/2) // not while Watch looks
		replaceKey(t, c)
		if s := next("rotated", watchInterval); s.IsConnected() || s.Err != nil || s.Fingerprint == ssh.FingerprintSHA256(first.PublicKey()) {
			t.Errorf("rotated: %+v", s)
		}
		deleteKey(t, c)
		if s := next("deleted", watchInterval); !errors.Is(s.Err, signer.ErrNotFound) || s.Ref != "" {
			t.Errorf("deleted: %+v", s)
		}
		stop()
		<-done
		if len(states) > 0 {
			t.Errorf("told after the end: %+v", <-states)
		}
	})
}
