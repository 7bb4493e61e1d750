package keyring_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// passphrase is as long as the seed of an Ed25519 key, so that NoSecret knows
// its forms.
const passphrase = "correct horse battery staple 123"

func wantPassphrase(t *testing.T, b *keyring.Backend, name, want string) {
	t.Helper()
	got, err := b.Passphrase(name)(t.Context(), "prompt")
	if err != nil || string(got) != want {
		t.Errorf("Passphrase(%q) = %q, %v, want %q", name, got, err, want)
	}
	clear(got) // as a caller does
}

func TestPassphraseInSecretService(t *testing.T) {
	if !secretservice.Rerun(t, secretservice.Start) {
		return
	}
	testPassphrase(t, &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: patience})
}

func TestPassphraseInPass(t *testing.T) {
	setEnv(t, passStore(t, ""))
	testPassphrase(t, &keyring.Backend{Stores: passOnly, Timeout: patience})
}

func testPassphrase(t *testing.T, b *keyring.Backend) {
	ctx := t.Context()
	_, err := b.Passphrase("p")(ctx, "")
	hint, _ := signer.HintOf(err)
	if want := "countersign key passphrase keyring:p"; !errors.Is(err, signer.ErrNotFound) || hint.Do != want {
		t.Errorf("before it is set: %v, %+v, want ErrNotFound and %q", err, hint, want)
	}
	given := []byte(passphrase)
	if err := b.SetPassphrase(ctx, "p", given); err != nil {
		t.Fatal(err)
	}
	clear(given)
	wantPassphrase(t, b, "p", passphrase)
	wantPassphrase(t, b, "p", passphrase)

	// A passphrase shares its name space with keys, and is not a key.
	if err := b.Import(ctx, "key", signertest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	errs := map[string]error{}
	for op, call := range map[string]func() error{
		"SetPassphrase again":      func() error { return b.SetPassphrase(ctx, "p", []byte("another")) },
		"SetPassphrase over a key": func() error { return b.SetPassphrase(ctx, "key", []byte("another")) },
		"Import":                   func() error { return b.Import(ctx, "p", signertest.NewKey(t)) },
		"Generate":                 func() error { _, err := b.Generate(ctx, "p"); return err },
	} {
		if errs[op] = call(); !errors.Is(errs[op], signer.ErrExists) {
			t.Errorf("%s = %v, want ErrExists", op, errs[op])
		}
	}
	_, errs["Open"] = b.Open(ctx, "p")
	_, errs["Export"] = b.Export(ctx, "p")
	_, errs["Passphrase of a key"] = b.Passphrase("key")(ctx, "")
	for op, topic := range map[string]string{"Open": "keychain#not-a-key", "Export": "keychain#not-a-key", "Passphrase of a key": "keychain#not-a-passphrase"} {
		if hint, _ := signer.HintOf(errs[op]); len(kindsOf(errs[op])) != 0 || hint.See != topic {
			t.Errorf("%s = %v, %+v, want %q", op, errs[op], hint, topic)
		}
	}
	wantPassphrase(t, b, "p", passphrase)
	signertest.NoSecret(t, ed25519.NewKeyFromSeed([]byte(passphrase)), b, errs)

	// Each call reads the store.
	if err := b.Delete(ctx, "p"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Passphrase("p")(ctx, ""); !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("after Delete: %v, want ErrNotFound", err)
	}
	if err := b.SetPassphrase(ctx, "p", []byte("new")); err != nil {
		t.Fatal(err)
	}
	wantPassphrase(t, b, "p", "new")
}

func TestPassphraseRefused(t *testing.T) {
	b := &keyring.Backend{Stores: []keyring.Store{}}
	for _, bad := range []string{"", "secret\n", "secret\r\n"} {
		if err := b.SetPassphrase(t.Context(), "p", []byte(bad)); err == nil || kindsOf(err) != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("SetPassphrase of %q = %v", bad, err)
		}
	}
	for _, name := range append(badNames, "", passphrase+"\n") {
		for op, err := range map[string]error{
			"SetPassphrase": b.SetPassphrase(t.Context(), name, []byte("x")),
			"Passphrase":    second(b.Passphrase(name)(t.Context(), "")),
		} {
			if !errors.Is(err, signer.ErrName) || name != "" && strings.Contains(err.Error(), name) {
				t.Errorf("%s of %q = %v, want ErrName without the name", op, name, err)
			}
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for op, err := range map[string]error{
		"SetPassphrase": b.SetPassphrase(over, "p", []byte("x")),
		"Passphrase":    second(b.Passphrase("p")(over, "")),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end of its context = %v", op, err)
		}
	}
}

func second(_ []byte, err error) error { return err }

// TestPassphraseOfSecretTool reads passphrases that secret-tool stored, and looks
// at an item with secret-tool.
func TestPassphraseOfSecretTool(t *testing.T) {
	if !secretservice.Rerun(t, secretservice.Start) {
		return
	}
	secretservice.Require(t, "secret-tool")
	b := &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: patience}
	for name, stored := range map[string]string{
		"plain": "secret", "line": "secret\n", "dos": "secret\r\n", "digits": "12345", "quoted": `"secret"`, "spaces": " secret \n", "two-lines": "one\ntwo\n",
	} {
		// The command is that of docs/keychain.md.
		run(t, stored, "secret-tool", "store", "--label=countersign:"+name, "profile", "countersign:"+name)
		want := strings.TrimRight(stored, "\r\n")
		wantPassphrase(t, b, name, want)
	}
	run(t, "\n", "secret-tool", "store", "--label=x", "profile", "countersign:empty")
	if _, err := b.Passphrase("empty")(t.Context(), ""); err == nil || !strings.Contains(err.Error(), `"countersign:empty" is empty`) {
		t.Errorf("an empty one: %v", err)
	}

	if err := b.SetPassphrase(t.Context(), "ours", []byte(passphrase)); err != nil {
		t.Fatal(err)
	}
	if found := run(t, "", "secret-tool", "search", "profile", "countersign:ours"); !strings.Contains(found, "label = countersign:ours") {
		t.Errorf("secret-tool shows no readable label:\n%s", found)
	}
}

func TestPassphraseLocked(t *testing.T) {
	if !secretservice.Rerun(t, secretservice.Start) {
		return
	}
	b := &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: patience}
	if err := b.SetPassphrase(t.Context(), "p", []byte(passphrase)); err != nil {
		t.Fatal(err)
	}
	wantPassphrase(t, b, "p", passphrase)
	run(t, "", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
		"org.freedesktop.Secret.Service.Lock", "array:objpath:/org/freedesktop/secrets/collection/login")
	_, err := b.Passphrase("p")(t.Context(), "")
	if !errors.Is(err, signer.ErrLocked) || !strings.Contains(err.Error(), "keyring:p") {
		t.Errorf("Passphrase in a locked keyring = %v, want ErrLocked and the item", err)
	}
	if err := b.SetPassphrase(t.Context(), "q", []byte("x")); !errors.Is(err, signer.ErrLocked) {
		t.Errorf("SetPassphrase in a locked keyring = %v, want ErrLocked", err)
	}
}

// run runs a program on this process's own bus.
func run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	return string(out)
}
