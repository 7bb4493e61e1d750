package agentserver

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer/signertest"
)

// A host is an SSH server with one session.
type host struct {
	key     ssh.Signer
	session string
}

func newHost(t *testing.T, session string) host {
	t.Helper()
	key, err := ssh.NewSignerFromSigner(signertest.NewKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return host{key, session}
}

// bind returns the request that binds a connection to the session of h.
func (h host) bind(t *testing.T, forwarded bool) []byte {
	t.Helper()
	sig, err := h.key.Sign(rand.Reader, []byte(h.session))
	if err != nil {
		t.Fatal(err)
	}
	return bindMessage(bindRequest{h.key.PublicKey().Marshal(), []byte(h.session), ssh.Marshal(sig), forwarded})
}

func bindMessage(r bindRequest) []byte {
	return ssh.Marshal(extensionRequest{"session-bind@openssh.com", ssh.Marshal(r)})
}

// login returns the text of a login to the session of h, for the method "publickey" or
// that with the host key.
func (h host) login(pub ssh.PublicKey, hostbound bool) []byte {
	t := loginText{
		SessionID: []byte(h.session), Request: 50, User: "ann", Service: "ssh-connection", Method: "publickey",
		HasSignature: true, Algorithm: pub.Type(), Key: pub.Marshal(),
	}
	if hostbound {
		t.Method = "publickey-hostbound-v00@openssh.com"
		t.Rest = ssh.Marshal(struct{ Key []byte }{h.key.PublicKey().Marshal()})
	}
	return ssh.Marshal(t)
}

// TestRule19_LoginNeedsBoundSession has the messages of a connection in order. "+" before a
// message means that it succeeds.
func TestRule19_LoginNeedsBoundSession(t *testing.T) {
	key := newKey(t)
	a, b := newHost(t, "session a"), newHost(t, "session b")
	otherKey := host{b.key, "session a"} // a's session with b's key
	messages := map[string][]byte{
		"bind a":               a.bind(t, false),
		"bind b":               b.bind(t, false),
		"forward a":            a.bind(t, true),
		"forward b":            b.bind(t, true),
		"bind a, other key":    otherKey.bind(t, false),
		"forward b, other key": host{a.key, "session b"}.bind(t, true),
		"bind a, forged":       bindMessage(bindRequest{a.key.PublicKey().Marshal(), []byte("session a"), ssh.Marshal(ssh.Signature{Format: "ssh-ed25519", Blob: make([]byte, 64)}), false}),
		"bind, no session":     host{a.key, ""}.bind(t, false),
		"bind, no key":         bindMessage(bindRequest{nil, []byte("session a"), nil, false}),
		"bind, no signature":   bindMessage(bindRequest{a.key.PublicKey().Marshal(), []byte("session a"), nil, false}),
		"bind, no contents":    ssh.Marshal(extensionRequest{"session-bind@openssh.com", nil}),
		"other extension":      ssh.Marshal(extensionRequest{"query", nil}),
		"lock": ssh.Marshal(struct {
			Type       byte
			Passphrase string
		}{msgLock, "pw"}),
		"unlock": ssh.Marshal(struct {
			Type       byte
			Passphrase string
		}{msgUnlock, "pw"}),
	}
	for name, text := range map[string][]byte{
		"login a": a.login(key.PublicKey(), false), "hostbound a": a.login(key.PublicKey(), true),
		"login b": b.login(key.PublicKey(), false), "hostbound b": b.login(key.PublicKey(), true),
		"hostbound a, other key": otherKey.login(key.PublicKey(), true),
		"commit":                 sshsig("git", "sha512", 64),
		"request":                []byte("POST,/api/me?ts=1700000000"),
	} {
		messages[name] = ssh.Marshal(signRequest{key.PublicKey().Marshal(), text, 0})
	}
	for i, tt := range []struct {
		allowUnbound bool
		messages     string
	}{
		{false, "login a; hostbound a; +commit; +request"},
		{true, "+login a; +hostbound a; +login b; +commit"},
		{false, "+bind a; +login a; +hostbound a; login b; hostbound b; hostbound a, other key; +commit; +request"},
		{true, "+bind a; +login a; login b; hostbound b"},
		{false, "+bind a; +bind a; +login a"},
		{false, "+bind a; bind b; login a; login b; commit"},
		{false, "+bind a; forward b; login b"},
		// Forwarded: a's user logs in to b with the agent.
		{false, "+forward a; login a; commit; request; lock; unlock; +bind b; +login b; +hostbound b; login a; commit; lock"},
		{true, "+forward a; login a; login b; commit"},
		{false, "+forward a; +forward b; login b"},
		{false, "+forward a; bind a; login a"},
		{false, "+bind a; forward a; login a"},
		// Sessions without a proof end the use of the connection.
		{true, "bind a, forged; login a; commit; request"},
		{true, "bind a, forged; +bind a; login a; commit"},
		{false, "+forward a; +forward b; +forward b; +forward a; forward b, other key"},
		{true, "+bind a; bind a, other key; login a"},
		{true, "bind, no session; commit"},
		{true, "bind, no key; commit"},
		{true, "bind, no signature; commit"},
		{true, "bind, no contents; commit"},
		{false, "other extension; +commit; +lock; commit; login a; +bind a; +unlock; +commit; +login a"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s, log := newServer(keyOf(key, guard.UserAuth, guard.SSHSig, guard.API))
			s.AllowUnbound = tt.allowUnbound
			conn := connect(t, s)
			for m := range strings.SplitSeq(tt.messages, "; ") {
				name, want := strings.CutPrefix(m, "+")
				msg := messages[name]
				if msg == nil {
					t.Fatalf("no message %q", name)
				}
				answer := ask(t, conn, msg)
				if got := answer[0] == msgSuccess || answer[0] == msgSignAnswer; got != want {
					t.Errorf("%s: answered %d, want success: %v\n%s", name, answer[0], want, log)
				}
			}
		})
	}
}

// TestLoginIsLogged wants the user and the fingerprint of the host.
func TestLoginIsLogged(t *testing.T) {
	key, a := newKey(t), newHost(t, "session a")
	s, log := newServer(keyOf(key, guard.UserAuth))
	conn := connect(t, s)
	ask(t, conn, a.bind(t, false))
	if askToSign(t, conn, key.PublicKey(), a.login(key.PublicKey(), false), 0) == nil {
		t.Fatal("refused")
	}
	want := " user=ann host_key=" + ssh.FingerprintSHA256(a.key.PublicKey())
	if !strings.Contains(log.String(), want) {
		t.Errorf("no %q in\n%s", want, log)
	}
	evil := a.login(key.PublicKey(), false)
	evil = []byte(strings.Replace(string(evil), "\x00\x00\x00\x03ann", "\x00\x00\x00\x06a\x1b[2Jn", 1))
	if askToSign(t, conn, key.PublicKey(), evil, 0) == nil {
		t.Fatal("refused")
	}
	if strings.Contains(log.String(), "\x1b") {
		t.Errorf("the log has an escape character:\n%q", log)
	}
}

func TestLoginMalformed(t *testing.T) {
	key, a := newKey(t), newHost(t, "session a")
	pub := key.PublicKey()
	plain := loginText{
		SessionID: []byte("session a"), Request: 50, User: "ann", Service: "ssh-connection", Method: "publickey",
		HasSignature: true, Algorithm: pub.Type(), Key: pub.Marshal(),
	}
	if _, err := parseLogin(ssh.Marshal(plain)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*loginText){
		"another request":  func(l *loginText) { l.Request = 51 },
		"another service":  func(l *loginText) { l.Service = "ssh-userauth" },
		"host-based":       func(l *loginText) { l.Method = "hostbased" },
		"no signature":     func(l *loginText) { l.HasSignature = false },
		"bytes at the end": func(l *loginText) { l.Rest = []byte{0} },
		"no host key":      func(l *loginText) { l.Method = "publickey-hostbound-v00@openssh.com" },
		"bytes after the key": func(l *loginText) {
			l.Method = "publickey-hostbound-v00@openssh.com"
			l.Rest = append(ssh.Marshal(struct{ Key []byte }{a.key.PublicKey().Marshal()}), 0)
		},
	} {
		l := plain
		change(&l)
		if _, err := parseLogin(ssh.Marshal(l)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestManyBindings wants an end to the sessions of one connection.
func TestManyBindings(t *testing.T) {
	s, _ := newServer()
	conn := connect(t, s)
	for i := range 17 {
		answer := ask(t, conn, newHost(t, fmt.Sprint("session ", i)).bind(t, true))
		if got, want := answer[0] == msgSuccess, i < 16; got != want {
			t.Errorf("session %d: answered %d", i, answer[0])
		}
	}
}
