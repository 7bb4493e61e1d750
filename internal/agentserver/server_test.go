package agentserver

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A logBuffer collects the log of a server.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newKey(t testing.TB) signer.Signer {
	t.Helper()
	s, err := signer.New(signertest.NewKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keyOf returns a Key that is opened already.
func keyOf(s signer.Signer, purposes ...guard.Purpose) Key {
	return Key{
		Name: "test:key", Public: s.PublicKey(),
		Open:     func(context.Context) (signer.Signer, error) { return s, nil },
		Purposes: func(ssh.PublicKey) []guard.Purpose { return purposes },
	}
}

func newServer(keys ...Key) (*Server, *logBuffer) {
	log := new(logBuffer)
	return &Server{Keys: keys, Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

// connect serves one connection of a pipe until the test ends.
func connect(t testing.TB, s *Server) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c := &client{server: s, conn: theirs, end: cancel}
	go func() {
		defer close(done)
		c.serve(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		ours.Close()
		<-done
	})
	return ours
}

// ask sends a message and returns the answer.
func ask(t testing.TB, conn net.Conn, msg []byte) []byte {
	t.Helper()
	if err := writeMessage(conn, msg); err != nil {
		t.Fatal(err)
	}
	answer, err := readMessage(conn)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// askToSign returns the signature, or nil if the server refuses.
func askToSign(t testing.TB, conn net.Conn, pub ssh.PublicKey, text []byte, flags uint32) *ssh.Signature {
	t.Helper()
	answer := ask(t, conn, ssh.Marshal(signRequest{pub.Marshal(), text, flags}))
	if len(answer) == 1 && answer[0] == msgFailure {
		return nil
	}
	var a signAnswer
	sig := new(ssh.Signature)
	if err := errors.Join(ssh.Unmarshal(answer, &a), ssh.Unmarshal(a.Signature, sig)); err != nil {
		t.Fatal(err)
	}
	if err := pub.Verify(text, sig); err != nil {
		t.Error(err)
	}
	return sig
}

type sample struct {
	Name  string
	Class guard.Purpose
	Hex   string
}

func (s sample) text(t testing.TB) []byte {
	t.Helper()
	text, err := hex.DecodeString(s.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// crossProtocol reads texts that protocols sign.
func crossProtocol(t testing.TB) []sample {
	t.Helper()
	data, err := os.ReadFile("../../guard/testdata/cross_protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Samples []sample }
	if err := json.Unmarshal(data, &file); err != nil || len(file.Samples) != 25 {
		t.Fatalf("%d samples, %v; want 25", len(file.Samples), err)
	}
	return file.Samples
}

// TestRule19_Purposes asks for every text with every purpose.
func TestRule19_Purposes(t *testing.T) {
	key := newKey(t)
	for _, purpose := range guard.Purposes() {
		s, log := newServer(keyOf(key, purpose))
		s.AllowUnbound = true
		conn := connect(t, s)
		for _, sample := range crossProtocol(t) {
			want := sample.Class == purpose && purpose != guard.Raw && purpose != guard.Digest
			sig := askToSign(t, conn, key.PublicKey(), sample.text(t), 0)
			if (sig != nil) != want {
				t.Errorf("a key for %s, the text %q: signed: %v, want %v", purpose, sample.Name, sig != nil, want)
			}
			line := `level=WARN msg="refused to sign"`
			if want {
				line = "level=INFO msg=signed"
			}
			line += " key=test:key fingerprint=" + ssh.FingerprintSHA256(key.PublicKey())
			if all := strings.TrimSuffix(log.String(), "\n"); !strings.Contains(all[strings.LastIndex(all, "\n")+1:], line) || !strings.Contains(all, string(sample.Class)) {
				t.Errorf("the log ends with %q, want %q", all[strings.LastIndex(all, "\n")+1:], line)
			}
		}
	}
}

// TestClientOfCrypto uses the client of x/crypto with an unlimited number of keys.
func TestClientOfCrypto(t *testing.T) {
	first, second := newKey(t), newKey(t)
	s, _ := newServer(keyOf(first, guard.SSHSig), keyOf(second, guard.SSHSig.For("git")))
	client := agent.NewClient(struct{ net.Conn }{connect(t, s)})
	keys, err := client.List()
	if err != nil || len(keys) != 2 || keys[0].Comment != "test:key" || !signer.SameKey(keys[1], second.PublicKey()) {
		t.Fatalf("keys %v, %v", keys, err)
	}
	for namespace, want := range map[string]bool{"git": true, "file": false} {
		text := sshsig(namespace, "sha512", 64)
		if sig, err := client.Sign(first.PublicKey(), text); err != nil || first.PublicKey().Verify(text, sig) != nil {
			t.Errorf("%s: %v", namespace, err)
		}
		if _, err := client.Sign(second.PublicKey(), text); (err == nil) != want {
			t.Errorf("a key for git, namespace %s: %v", namespace, err)
		}
	}
	if _, err := client.Sign(newKey(t).PublicKey(), sshsig("git", "sha512", 64)); err == nil {
		t.Error("it signed with a key that it does not serve")
	}
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if client.Add(agent.AddedKey{PrivateKey: other}) == nil || client.RemoveAll() == nil || client.Remove(first.PublicKey()) == nil {
		t.Error("a client changed the keys")
	}
	if keys, err := client.List(); err != nil || len(keys) != 2 {
		t.Errorf("keys %v, %v", keys, err)
	}
}

func sshsig(namespace, hash string, size int) []byte {
	return append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{namespace, "", hash, strings.Repeat("d", size)})...)
}

func TestSignMalformedSSHSIG(t *testing.T) {
	key := newKey(t)
	s, _ := newServer(keyOf(key, guard.SSHSig))
	conn := connect(t, s)
	if askToSign(t, conn, key.PublicKey(), sshsig("git", "sha256", 32), 0) == nil {
		t.Error("a good text was refused")
	}
	for _, text := range [][]byte{
		sshsig("", "sha256", 32), sshsig("git", "sha1", 20), sshsig("git", "sha256", 64), sshsig("git", "sha512", 32), sshsig("git", "sha256", 0),
		append(sshsig("git", "sha256", 32), 0), []byte("SSHSIG"), []byte("SSHSIG" + strings.Repeat("d", 26)),
	} {
		if askToSign(t, conn, key.PublicKey(), text, 0) != nil {
			t.Errorf("signed %q", text)
		}
	}
}

func TestSignRSA(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		t.Fatal(err)
	}
	s, log := newServer(keyOf(key, guard.SSHSig))
	conn := connect(t, s)
	for flags, want := range map[uint32]string{2: ssh.KeyAlgoRSASHA256, 4: ssh.KeyAlgoRSASHA512, 6: ssh.KeyAlgoRSASHA512, 0: "", 1: ""} {
		got := ""
		if sig := askToSign(t, conn, key.PublicKey(), sshsig("git", "sha256", 32), flags); sig != nil {
			got = sig.Format
		}
		if got != want {
			t.Errorf("flags %d: %q, want %q", flags, got, want)
		}
	}
	if !strings.Contains(log.String(), "SHA-1") {
		t.Errorf("the log does not tell of SHA-1:\n%s", log)
	}
}

// TestSignConfirm asks a person for each signature that is allowed, and for no other.
func TestSignConfirm(t *testing.T) {
	key := newKey(t)
	s, log := newServer(keyOf(key, guard.SSHSig))
	var asked []Use
	answer := errors.New("no")
	s.Confirm = func(_ context.Context, u Use) error {
		asked = append(asked, u)
		return answer
	}
	conn := connect(t, s)
	text := sshsig("git", "sha256", 32)
	if askToSign(t, conn, key.PublicKey(), text, 0) != nil || len(asked) != 1 {
		t.Errorf("signed without an answer, asked %v", asked)
	}
	answer = nil
	if askToSign(t, conn, key.PublicKey(), text, 0) == nil || askToSign(t, conn, key.PublicKey(), []byte("other"), 0) != nil {
		t.Error("the answer yes has no effect, or too much")
	}
	if len(asked) != 2 || asked[1] != (Use{Key: "test:key", Fingerprint: ssh.FingerprintSHA256(key.PublicKey()), Purpose: "sshsig git"}) {
		t.Errorf("asked %+v", asked)
	}
	if !strings.Contains(log.String(), "reason=no") {
		t.Errorf("the log does not tell the reason:\n%s", log)
	}
}

// TestRefusalsAreLogged has requests that are no requests for signatures.
func TestRefusalsAreLogged(t *testing.T) {
	key := newKey(t)
	s, log := newServer(keyOf(key, guard.UserAuth))
	s.AllowUnbound = true
	conn := connect(t, s)
	for _, tt := range []struct {
		msg  []byte
		want string
	}{
		{[]byte{19}, `msg="request refused" reason="this agent serves signatures only, and its keys are named on its command line" message=19`},
		{[]byte{msgSign}, `reason="the request is malformed"`},
		{ssh.Marshal(signRequest{key.PublicKey().Marshal(), ssh.Marshal(loginText{SessionID: []byte("s"), Request: 50, User: "u", Service: "ssh-connection", Method: "hostbased"}), 0}), `purpose=ssh.userauth reason="the text of the login is malformed, or its method is not publickey"`},
	} {
		if got := ask(t, conn, tt.msg); !bytes.Equal(got, []byte{5}) {
			t.Errorf("answered %v", got)
		}
		if !strings.Contains(log.String(), tt.want) {
			t.Errorf("no %s in\n%s", tt.want, log)
		}
	}
	if got := ask(t, conn, ssh.Marshal(extensionRequest{"session-bind@openssh.com", nil})); !bytes.Equal(got, []byte{28}) {
		t.Errorf("a malformed session: answered %v", got)
	}
}

// TestLockedKey serves a key that is unlocked later.
func TestLockedKey(t *testing.T) {
	key := newKey(t)
	locked := true
	k := keyOf(key, guard.SSHSig)
	k.Public = nil
	k.Open = func(ctx context.Context) (signer.Signer, error) {
		if locked && !signer.MayPrompt(ctx) {
			return nil, signer.ErrLocked
		}
		return key, nil
	}
	s, _ := newServer(k)
	conn := connect(t, s)
	empty := ssh.Marshal(listAnswer{})
	if got := ask(t, conn, []byte{msgList}); !bytes.Equal(got, empty) {
		t.Errorf("listed a locked key: %q", got)
	}
	text := sshsig("git", "sha256", 32)
	if askToSign(t, conn, key.PublicKey(), text, 0) != nil {
		t.Error("an unknown key signed")
	}
	s.Keys[0].Public = key.PublicKey() // as the store tells it
	if got := ask(t, conn, []byte{msgList}); bytes.Equal(got, empty) {
		t.Error("a key with a known public half is not listed")
	}
	if askToSign(t, conn, key.PublicKey(), text, 0) == nil {
		t.Error("a signature did not open the key")
	}
	locked = false
	s.Keys[0].Public = nil
	if got := ask(t, conn, []byte{msgList}); bytes.Equal(got, empty) {
		t.Error("the opened key is not listed")
	}
}

// TestReplacedKey has a store that gives another key under the same name.
func TestReplacedKey(t *testing.T) {
	old, other := newKey(t), newKey(t)
	k := keyOf(other, guard.SSHSig)
	k.Public = old.PublicKey()
	s, log := newServer(k)
	s.public = map[*Key]ssh.PublicKey{&s.Keys[0]: old.PublicKey()}
	conn := connect(t, s)
	if askToSign(t, conn, old.PublicKey(), sshsig("git", "sha256", 32), 0) != nil || !strings.Contains(log.String(), "another key") {
		t.Errorf("another key signed:\n%s", log)
	}
	ask(t, conn, []byte{msgList})
	if askToSign(t, conn, other.PublicKey(), sshsig("git", "sha256", 32), 0) == nil {
		t.Error("the new key does not sign")
	}
}

func TestLock(t *testing.T) {
	key := newKey(t)
	s, _ := newServer(keyOf(key, guard.SSHSig))
	conn := connect(t, s)
	client := agent.NewClient(struct{ net.Conn }{conn})
	text := sshsig("git", "sha256", 32)
	works := func() bool {
		keys, err := client.List()
		_, signErr := client.Sign(key.PublicKey(), text)
		if err != nil || (len(keys) == 1) != (signErr == nil) {
			t.Errorf("%d keys, %v, signature: %v", len(keys), err, signErr)
		}
		return signErr == nil
	}
	if client.Unlock([]byte("pw")) == nil {
		t.Error("unlocked what is not locked")
	}
	if err := client.Lock([]byte("pw")); err != nil || works() {
		t.Errorf("locked: %v", err)
	}
	if client.Lock([]byte("other")) == nil || client.Unlock([]byte("wrong")) == nil || client.Unlock(nil) == nil || works() {
		t.Error("a wrong passphrase changed the lock")
	}
	if err := client.Unlock([]byte("pw")); err != nil || !works() {
		t.Errorf("unlocked: %v", err)
	}
	if client.Unlock([]byte("pw")) == nil {
		t.Error("unlocked twice")
	}
	if got := ask(t, connect(t, s), []byte{msgLock, 0}); !bytes.Equal(got, []byte{5}) || !works() {
		t.Errorf("a malformed lock: answered %v", got)
	}
}

// FuzzAnswer sends two messages to one connection. Only a text of an allowed purpose
// may be signed.
func FuzzAnswer(f *testing.F) {
	key := newKey(f)
	for _, sample := range crossProtocol(f) {
		f.Add([]byte{msgList}, ssh.Marshal(signRequest{key.PublicKey().Marshal(), sample.text(f), 0}))
	}
	f.Add([]byte{msgLock, 0, 0, 0, 1, 'x'}, []byte{msgUnlock, 0, 0, 0, 1, 'x'})
	f.Add(ssh.Marshal(extensionRequest{"session-bind@openssh.com", ssh.Marshal(bindRequest{Forwarded: true})}), []byte{msgExtension})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s, _ := newServer(keyOf(key, guard.SSHSig))
		c := &client{server: s, end: func() {}}
		for _, msg := range [][]byte{first, second} {
			if len(msg) == 0 {
				continue
			}
			answer := c.answer(t.Context(), msg)
			if answer[0] != msgSignAnswer {
				continue
			}
			var r signRequest
			if err := ssh.Unmarshal(msg, &r); err != nil || guard.PurposeOf(r.Data) != guard.SSHSig || checkSSHSIG(r.Data) != nil {
				t.Errorf("signed %q", msg)
			}
		}
	})
}

// FuzzParseLogin wants a login to be an SSH login for package guard too.
func FuzzParseLogin(f *testing.F) {
	for _, sample := range crossProtocol(f) {
		f.Add(sample.text(f))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parseLogin(text); err == nil && guard.PurposeOf(text) != guard.UserAuth {
			t.Errorf("%q is a login here, and %s for package guard", text, guard.PurposeOf(text))
		}
	})
}
