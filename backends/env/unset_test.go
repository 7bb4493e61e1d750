package env_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// children of the test print their environment.
const printEnv = "COUNTERSIGN_TEST_PRINT_ENV"

func TestMain(m *testing.M) {
	if os.Getenv(printEnv) != "" {
		fmt.Println(strings.Join(os.Environ(), "\n"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestUnset(t *testing.T) {
	clean(t)
	text, pub := newKey(t, "-N", "hunter2")
	t.Setenv("TEST_KEY", text)
	t.Setenv("TEST_KEY_PASSPHRASE", "hunter2")
	t.Setenv("TEST_OTHER", "stays")
	if got := childEnv(t); !strings.Contains(got, "hunter2") {
		t.Fatal("the test does not see what a child inherits")
	}

	b := &env.Backend{Unset: true}
	checkSigns(t, open(t, b), pub)
	if got := childEnv(t); strings.Contains(got, "TEST_KEY") || strings.Contains(got, "hunter2") || !strings.Contains(got, "TEST_OTHER=stays") {
		t.Error("a child inherits the key or its passphrase, or lacks another variable")
	}
	if slices.ContainsFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TEST_KEY") }) {
		t.Error("the environment still has it")
	}

	checkSigns(t, open(t, b), pub)
	k, err := b.Export(t.Context(), "TEST_KEY")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ssh.NewPublicKey(k.Public()); err != nil || !signer.SameKey(got, pub) {
		t.Error("exported another key")
	}
	_, err = (&env.Backend{}).Open(t.Context(), "TEST_KEY")
	checkError(t, err, signer.ErrNotFound)

	text, pub = newKey(t)
	t.Setenv("TEST_KEY", text)
	checkSigns(t, open(t, b), pub)
	checkSigns(t, open(t, b), pub)
	if _, ok := os.LookupEnv("TEST_KEY"); ok {
		t.Error("set anew, it stays in the environment")
	}
	k, err = b.Export(t.Context(), "TEST_KEY")
	if err != nil {
		t.Fatal(err)
	}
	signertest.NoSecret(t, k, b)
	checkHides(t, b, "hunter2")
}

// Even what is no key may be a secret.
func TestUnsetAfterFailure(t *testing.T) {
	text, _ := newKey(t)
	for _, value := range []string{"", text[:200]} {
		clean(t)
		t.Setenv("TEST_KEY", value)
		t.Setenv("TEST_KEY_FILE", "/both")
		t.Setenv("TEST_KEY_PASSPHRASE", "hunter2")
		_, err := (&env.Backend{Unset: true}).Open(t.Context(), "TEST_KEY")
		checkError(t, err, nil)
		for _, name := range []string{"TEST_KEY", "TEST_KEY_PASSPHRASE"} {
			if _, ok := os.LookupEnv(name); ok {
				t.Errorf("%s stays in the environment", name)
			}
		}
		if os.Getenv("TEST_KEY_FILE") == "" {
			t.Error("TEST_KEY_FILE is gone")
		}
	}
}

func TestUnsetAtOnce(t *testing.T) {
	clean(t)
	text, pub := newKey(t)
	t.Setenv("TEST_KEY", text)
	b := &env.Backend{Unset: true}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			s, err := b.Open(t.Context(), "TEST_KEY")
			if err != nil {
				t.Error(err)
			} else if !bytes.Equal(s.PublicKey().Marshal(), pub.Marshal()) {
				t.Error("another key")
			}
		})
	}
	wg.Wait()
}

func childEnv(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(printEnv, "1")
	out, err := exec.CommandContext(t.Context(), exe).Output()
	os.Unsetenv(printEnv)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestCapture(t *testing.T) {
	clean(t)
	text, pub := newKey(t, "-N", "hunter2")
	t.Setenv("TEST_KEY", text)
	t.Setenv("TEST_KEY_PASSPHRASE", "hunter2")
	t.Setenv("TEST_KEY_FILE_PASSPHRASE", "hunter2")
	t.Setenv("TEST_OTHER", "stays")

	b := &env.Backend{}
	if err := b.Capture("TEST_KEY", "no-variable", "", "TEST_KEY_FILE"); err != nil {
		t.Fatal(err)
	}
	if got := childEnv(t); strings.Contains(got, "TEST_KEY") || strings.Contains(got, "hunter2") || !strings.Contains(got, "TEST_OTHER=stays") {
		t.Error("a child inherits a captured variable, or lacks another one")
	}
	checkSigns(t, open(t, b), pub)
	if _, err := (&env.Backend{}).Open(t.Context(), "TEST_KEY"); !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("another backend: %v", err)
	}
	checkHides(t, b, "hunter2")
}
