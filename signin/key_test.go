package signin_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

const childVariable = "COUNTERSIGN_TEST_CHILD"

func TestMain(m *testing.M) {
	if server := os.Getenv(appVariable); server != "" {
		runApp(server)
		return
	}
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	client, err := signin.New("https://ollama.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := client.EnsureKey(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ssh.FingerprintSHA256(key.PublicKey()))
}

// startChild starts a process that ensures a key in the home directory home, where
// there is no keychain.
func startChild(t *testing.T, home string) (end func() string) {
	t.Helper()
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = []string{
		childVariable + "=1", "HOME=" + home, "USERPROFILE=" + home, "GORACE=" + os.Getenv("GORACE"),
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(home, "no-bus"),
	}
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, &out)
		}
		return strings.TrimSpace(out.String())
	}
}

func TestEnsureKeyFindsTheKeyThatItMade(t *testing.T) {
	c := newClient(t, startRegistry(t))
	if key, err := c.OpenKey(t.Context()); !errors.Is(err, signer.ErrNotFound) {
		t.Fatalf("OpenKey made a key: %v, %v", key, err)
	}
	key := ensureKey(t, c)
	for range 2 {
		if again := ensureKey(t, c); !signer.SameKey(again.PublicKey(), key.PublicKey()) {
			t.Error("EnsureKey made a second key")
		}
	}
}

// A countingStore makes keys, which is a mistake in the tests that use it.
type countingStore struct {
	signer.Backend
	made int
}

func (s *countingStore) Generate(context.Context, string) (signer.Signer, error) {
	s.made++
	return nil, errors.New("a key was made")
}

func failing(err error) signer.Backend {
	return signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return nil, err })
}

func TestEnsureKeyMakesNoneBesideAKeyThatCannotBeUsed(t *testing.T) {
	for _, err := range []error{
		signer.ErrLocked, signer.ErrDenied, signer.ErrInsecure, signer.ErrUnsupported, context.DeadlineExceeded,
		os.ErrDeadlineExceeded, errors.New("damaged"), fmt.Errorf("%w: %w", signer.ErrNotFound, context.DeadlineExceeded),
	} {
		store := &countingStore{Backend: failing(signer.ErrNotFound)}
		c := &signin.Client{Server: parseOrigin(t, "https://ollama.com"), Keys: signer.Mux{
			"env": failing(signer.ErrNotFound), "keyring": failing(err), "file": store,
		}}
		if _, got := c.EnsureKey(t.Context()); !errors.Is(got, err) || store.made > 0 {
			t.Errorf("%v: made %d keys, %v", err, store.made, got)
		}
	}
}

func TestEnsureKeyMakesNoneAfterItsContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newClient(t, startRegistry(t))
	if _, err := c.EnsureKey(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := c.OpenKey(t.Context()); !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("there is a key: %v", err)
	}
}

// The key of a variable cannot be made, and a key elsewhere would not be the key that
// was asked for.
func TestEnsureKeyMakesNoOtherKey(t *testing.T) {
	store := &countingStore{Backend: failing(signer.ErrNotFound)}
	for _, ref := range []string{"env:EXAMPLE_KEY_THAT_IS_NOT_SET", "none:example", "example"} {
		c := &signin.Client{Server: parseOrigin(t, "https://ollama.com"), Keys: signer.Mux{"env": &env.Backend{}, "file": store}, Key: ref}
		if _, err := c.EnsureKey(t.Context()); err == nil || store.made > 0 {
			t.Errorf("%s: made %d keys, %v", ref, store.made, err)
		}
	}
	absent := &countingStore{Backend: failing(signer.ErrUnavailable)}
	c := &signin.Client{Server: parseOrigin(t, "https://ollama.com"), Keys: signer.Mux{"keyring": absent}, Key: "keyring:example"}
	if _, err := c.EnsureKey(t.Context()); !errors.Is(err, signer.ErrUnavailable) || absent.made > 0 {
		t.Errorf("a store that is absent: made %d keys, %v", absent.made, err)
	}
}

func TestEnsureKeyInManyGoroutines(t *testing.T) {
	c := newClient(t, startRegistry(t))
	var all sync.WaitGroup
	keys := make([]signer.Signer, 20)
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], err = c.EnsureKey(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, key := range keys[1:] {
		if key != nil && !signer.SameKey(key.PublicKey(), keys[0].PublicKey()) {
			t.Error("two goroutines got different keys")
		}
	}
}

func TestEnsureKeyInManyProcesses(t *testing.T) {
	home := t.TempDir()
	var ends []func() string
	for range 8 {
		ends = append(ends, startChild(t, home))
	}
	var first string
	for _, end := range ends {
		got := end()
		if first == "" {
			first = got
		}
		if !strings.HasPrefix(got, "SHA256:") || got != first {
			t.Errorf("one process got %s, another got %s", first, got)
		}
	}
	if key, err := new(file.Backend).Open(t.Context(), filepath.Join(home, ".ollama", "id_ed25519")); err != nil || ssh.FingerprintSHA256(key.PublicKey()) != first {
		t.Errorf("the file has another key: %v", err)
	}
}

func TestPage(t *testing.T) {
	c := newClient(t, startRegistry(t))
	c.Server = parseOrigin(t, "https://ollama.com")
	key := ensureKey(t, c)
	for _, launch := range []bool{false, true} {
		c.Launch = launch
		page, err := c.Page(key)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(page)
		if err != nil {
			t.Fatal(err)
		}
		host, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "true"}[launch]
		if got := u.Query(); u.Host+u.Path != "ollama.com/connect" || got.Get("name") != host || got.Get("launch") != want {
			t.Errorf("launch %v: %s", launch, page)
		}
	}
}
