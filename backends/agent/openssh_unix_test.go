//go:build unix

package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/internal/agenttest"
	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// startWithKey starts an ssh-agent with one key, and opens the key.
func startWithKey(t *testing.T, env ...string) (*agenttest.OpenSSH, *agent.Backend, signer.Signer) {
	t.Helper()
	a := agenttest.StartOpenSSH(t, env...)
	b := &agent.Backend{Socket: a.Socket}
	if err := b.Import(t.Context(), "me", signertest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	k, err := b.Open(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	return a, b, k
}

// sshAdd runs ssh-add, which asks the script askpass.
func sshAdd(t *testing.T, a *agenttest.OpenSSH, askpass string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh-add", args...)
	cmd.Env = append(os.Environ(), append(agenttest.Askpass(t, askpass), "SSH_AUTH_SOCK="+a.Socket)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add %q: %v: %s", args, err, out)
	}
}

func TestNoAgent(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	_, err := (&agent.Backend{}).Open(t.Context(), "me")
	wantError(t, err, signer.ErrUnavailable, true, "agent#no-agent", "SSH_AUTH_SOCK is not set")
	_, err = (&agent.Backend{}).List(t.Context())
	wantError(t, err, signer.ErrUnavailable, true, "agent#no-agent", "SSH_AUTH_SOCK is not set")

	_, err = (&agent.Backend{Socket: "/absent/socket"}).Open(t.Context(), "me")
	wantError(t, err, signer.ErrUnavailable, true, "agent#no-agent", "/absent/socket")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = (&agent.Backend{Socket: file}).Open(t.Context(), "me")
	wantError(t, err, signer.ErrUnavailable, true, "agent#no-agent", file)
	_, err = (&agent.Backend{Socket: "/" + strings.Repeat("long/", 100)}).Open(t.Context(), "me")
	wantError(t, err, nil, false, "agent#no-agent")
}

// The zero value uses the agent of the environment.
func TestEnvironment(t *testing.T) {
	a, _, k := startWithKey(t)
	t.Setenv("SSH_AUTH_SOCK", a.Socket)
	s, err := (&agent.Backend{}).Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if !signer.SameKey(s.PublicKey(), k.PublicKey()) {
		t.Error("it opened another key")
	}
	t.Setenv("SSH_AUTH_SOCK", "/absent")
	if _, err := (&agent.Backend{Socket: a.Socket}).Open(t.Context(), ""); err != nil {
		t.Errorf("the field did not replace the variable: %v", err)
	}
	t.Setenv("HOME", filepath.Dir(a.Socket))
	if _, err := (&agent.Backend{Socket: "~/s"}).Open(t.Context(), ""); err != nil {
		t.Errorf("a socket below ~: %v", err)
	}
	t.Setenv("HOME", "")
	_, err = (&agent.Backend{Socket: "~/s"}).Open(t.Context(), "")
	if !errors.Is(err, signer.ErrUnavailable) {
		t.Errorf("without a home directory: %v", err)
	}
}

func TestKilled(t *testing.T) {
	checkLeftovers(t)
	a, b, k := startWithKey(t)
	a.Kill() // the socket stays
	_, err := b.Open(t.Context(), "me")
	wantError(t, err, signer.ErrUnavailable, true, "agent#no-agent", a.Socket)
	_, err = k.Sign(t.Context(), []byte("hello"))
	wantError(t, err, signer.ErrUnavailable, true, "agent#no-agent", a.Socket)
}

func TestEmpty(t *testing.T) {
	checkLeftovers(t)
	b := &agent.Backend{Socket: agenttest.StartOpenSSH(t).Socket}
	for _, name := range []string{"", "me"} {
		_, err := b.Open(t.Context(), name)
		wantError(t, err, signer.ErrNotFound, true, "agent#empty-or-locked", "it has none, or it is locked")
	}
}

func TestLocked(t *testing.T) {
	checkLeftovers(t)
	a, b, k := startWithKey(t)
	sshAdd(t, a, "echo pw", "-x")
	_, err := b.Open(t.Context(), "me")
	wantError(t, err, signer.ErrNotFound, true, "agent#empty-or-locked", "it has none, or it is locked")
	_, err = k.Sign(t.Context(), []byte("hello"))
	wantError(t, err, signer.ErrLocked, false, "agent#empty-or-locked", "it was locked, or its keys were removed")
	wantError(t, b.Import(t.Context(), "new", signertest.NewKey(t)), signer.ErrDenied, false, "agent#refused", "it is locked")
	if signer.IsStale(k) {
		t.Error("the key of a locked agent is stale")
	}
	sshAdd(t, a, "echo pw", "-X")
	if _, err := k.Sign(t.Context(), []byte("hello")); err != nil {
		t.Errorf("after it was unlocked: %v", err)
	}
}

// A key that was removed is stale, so a Keeper opens the name again.
func TestRemoved(t *testing.T) {
	checkLeftovers(t)
	_, b, _ := startWithKey(t)
	if err := b.Import(t.Context(), "other", signertest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	program := &signer.Keeper{Backend: &agent.Backend{Socket: b.Socket}}
	old, err := program.Open(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "me"); err != nil {
		t.Fatal(err)
	}
	_, err = old.Sign(t.Context(), []byte("hello"))
	wantError(t, err, signer.ErrNotFound, true, "agent#which-key", "has no key SHA256:", "(other)")
	next := signertest.NewKey(t)
	if err := b.Import(t.Context(), "me", next); err != nil {
		t.Fatal(err)
	}
	s, err := program.Open(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), []byte("hello")); err != nil {
		t.Error(err)
	}
	pub, _ := ssh.NewPublicKey(next.Public())
	if !signer.SameKey(s.PublicKey(), pub) {
		t.Error("the program still has the old key")
	}
}

func TestConfirmed(t *testing.T) {
	for answer, want := range map[string]error{"exit 0": nil, "exit 1": signer.ErrDenied} {
		t.Run(answer, func(t *testing.T) {
			checkLeftovers(t)
			a := agenttest.StartOpenSSH(t, agenttest.Askpass(t, answer)...)
			b := &agent.Backend{Socket: a.Socket, Confirm: true}
			if err := b.Import(t.Context(), "me", signertest.NewKey(t)); err != nil {
				t.Fatal(err)
			}
			k, err := b.Open(t.Context(), "me") // asks nobody
			if err != nil {
				t.Fatal(err)
			}
			_, err = k.Sign(t.Context(), []byte("hello"))
			if want == nil && err != nil {
				t.Error(err)
			}
			if want != nil {
				wantError(t, err, want, false, "agent#refused", "a person refused")
			}
		})
	}
}

// While the agent waits for a person, it answers nobody, and each call ends with its
// context.
func TestWaitsForAPerson(t *testing.T) {
	checkLeftovers(t)
	pipe := filepath.Join(agenttest.Dir(t), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	a := agenttest.StartOpenSSH(t, agenttest.Askpass(t, "exec cat "+pipe)...)
	b := &agent.Backend{Socket: a.Socket, Confirm: true}
	if err := b.Import(t.Context(), "me", signertest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	k, err := b.Open(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	signed := make(chan error)
	go func() {
		_, err := k.Sign(ctx, []byte("hello"))
		signed <- err
	}()
	dialog, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the agent asks
	if err != nil {
		t.Fatal(err)
	}
	other := &agent.Backend{Socket: a.Socket, Timeout: time.Millisecond}
	_, err = other.List(t.Context())
	wantError(t, err, context.DeadlineExceeded, false, "agent#no-answer", "has not answered")
	cancel()
	wantError(t, <-signed, context.Canceled, false, "agent#no-answer", "has not answered")

	dialog.Close() // the person allows it, too late
	if _, err := b.Open(t.Context(), "me"); err != nil {
		t.Errorf("after the dialog: %v", err)
	}
}

// Nobody waits for a signature in the background, so no dialog may open for it.
func TestInTheBackground(t *testing.T) {
	_, _, k := startWithKey(t)
	_, err := k.Sign(signer.WithoutPrompt(t.Context()), []byte("hello"))
	if !errors.Is(err, signer.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
}

// OpenSSH's agent takes a text up to its limit. A longer text does not reach it.
func TestLongestText(t *testing.T) {
	_, _, k := startWithKey(t)
	longest := 256<<10 - len(k.PublicKey().Marshal()) - 13
	if _, err := k.Sign(t.Context(), make([]byte, longest)); err != nil {
		t.Errorf("%d bytes: %v", longest, err)
	}
	_, err := k.Sign(t.Context(), make([]byte, longest+1))
	if !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("%d bytes: %v, want ErrUnsupported", longest+1, err)
	}
}

// A key that may log in to one host signs no other text.
func TestConstrained(t *testing.T) {
	checkLeftovers(t)
	a := agenttest.StartOpenSSH(t)
	host, user := sshkeygen.New(t), sshkeygen.New(t)
	known := filepath.Join(t.TempDir(), "known_hosts")
	line := "server.example " + signer.AuthorizedKey(sshkeygen.PublicKey(t, host)) + "\n"
	if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Add(t, "-q", "-H", known, "-h", "server.example", user)
	k, err := (&agent.Backend{Socket: a.Socket}).Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Sign(t.Context(), []byte("hello"))
	wantError(t, err, signer.ErrDenied, false, "agent#refused", "limited to certain SSH hosts")
}

// ssh-add adds a key together with its certificate. The key is used.
func TestCertificateBesideKey(t *testing.T) {
	a := agenttest.StartOpenSSH(t)
	authority, user := sshkeygen.New(t), sshkeygen.New(t)
	if out, err := exec.Command("ssh-keygen", "-q", "-s", authority, "-I", "me", user+".pub").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.Add(t, "-q", user)
	b := &agent.Backend{Socket: a.Socket}
	for _, name := range []string{"", "test"} { // the comment of both
		k, err := b.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !signer.SameKey(k.PublicKey(), sshkeygen.PublicKey(t, user)) {
			t.Errorf("%q opened %s", name, k.PublicKey().Type())
		}
		if _, err := k.Sign(t.Context(), []byte("hello")); err != nil {
			t.Error(err)
		}
	}
	infos, err := b.List(t.Context())
	if err != nil || len(infos) != 1 || infos[0].Name != "test" {
		t.Errorf("List: %v, %v", infos, err)
	}
	listed, err := exec.Command("ssh-keygen", "-l", "-f", user+"-cert.pub").Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.Fields(string(listed))) < 2 {
		t.Fatalf("ssh-keygen: %s", listed)
	}
}

// ssh-add and ssh-keygen know the key that Import added.
func TestImportIsForSSH(t *testing.T) {
	a := agenttest.StartOpenSSH(t)
	b := &agent.Backend{Socket: a.Socket}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Import(t.Context(), "of mine", key); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ssh-add", "-L")
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+a.Socket)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if want := signer.AuthorizedKey(pub) + " of mine\n"; string(out) != want {
		t.Errorf("ssh-add -L: %q, want %q", out, want)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := signer.ParseRawPrivateKey(t.Context(), pem.EncodeToMemory(block), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Import(t.Context(), "another name", again)
	if !errors.Is(err, signer.ErrExists) {
		t.Errorf("the same key under another name: %v, want ErrExists", err)
	}
}
