package agent_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/internal/agenttest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A hostile agent answers each request with these bytes. It closes the connection
// then, or waits.
type hostile struct {
	name   string
	answer []byte
	closes bool
	says   string
	topic  string
}

func hostiles() []hostile {
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	const closed, garbled = "agent#no-answer", "agent#not-an-agent"
	return []hostile{
		{"closes at once", nil, true, "closed the connection", closed},
		{"closes within the length", []byte{0, 0}, true, "closed the connection", closed},
		{"closes within the answer", append(length(1000), 12, 0, 0), true, "closed the connection", closed},
		{"announces 16 MiB", length(16 << 20), false, "announces 16777216 bytes", garbled},
		{"announces 4 GiB", length(1<<32 - 1), false, "announces 4294967295 bytes", garbled},
		{"announces one byte too many", length(256<<10 + 1), false, "announces 262145 bytes", garbled},
		{"announces nothing", length(0), false, "announces 0 bytes", garbled},
		{"announces 2 million keys", message([]byte{12, 0, 0x1e, 0x84, 0x80}), false, "announces 2000000 keys", garbled},
		{"is a web server", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), true, "not an answer of an SSH agent", garbled},
		{"answers with an unknown type", message([]byte{200, 1, 2, 3}), false, "not an answer of an SSH agent", garbled},
		{"answers a list with success", message([]byte{6}), false, "not an answer of an SSH agent", garbled},
		{"answers a list with a signature", message(append([]byte{14}, ssh.Marshal(struct{ B []byte }{[]byte("x")})...)), false, "not an answer of an SSH agent", garbled},
		{"lists a key that is cut", message([]byte{12, 0, 0, 0, 1, 0, 0, 0, 200, 'x', 0, 0, 0, 0}), false, "not an answer of an SSH agent", garbled},
	}
}

// start serves h until t ends.
func (h hostile) start(t *testing.T) *agent.Backend {
	t.Helper()
	return &agent.Backend{Socket: agenttest.Listen(t, func(c net.Conn) {
		for request(c) != 0 {
			if _, err := c.Write(h.answer); err != nil || h.closes {
				return
			}
		}
	})}
}

func TestHostile(t *testing.T) {
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			checkLeftovers(t)
			b := h.start(t)
			_, err := b.Open(t.Context(), "")
			wantError(t, err, nil, false, h.topic, h.says)
			_, err = b.List(t.Context())
			wantError(t, err, nil, false, h.topic, h.says)
			wantError(t, b.Import(t.Context(), "new", signertest.NewKey(t)), nil, false, h.topic, h.says)
			wantError(t, b.Delete(t.Context(), "old"), nil, false, h.topic, h.says)
		})
	}
}

// A length in an answer must not make the process allocate so much.
func TestHostileAllocatesNothing(t *testing.T) {
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			b := h.start(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = b.List(t.Context())
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("allocated %d bytes", n)
			}
		})
	}
}

// An agent that answers more than it was asked for leaves no goroutine behind.
func TestHostileAnswersTwice(t *testing.T) {
	checkLeftovers(t)
	key := signertest.NewKey(t)
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	answer := identities(pub.Marshal(), "me")
	b := hostile{answer: append(slices.Clone(answer), answer...)}.start(t)
	for range 10 {
		if _, err := b.Open(t.Context(), "me"); err != nil {
			t.Fatal(err)
		}
	}
}

// An answer may come in small pieces.
func TestTrickle(t *testing.T) {
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	b := &agent.Backend{Socket: agenttest.Listen(t, func(c net.Conn) {
		request(c)
		for _, octet := range identities(pub.Marshal(), "me") {
			if _, err := c.Write([]byte{octet}); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, c)
	})}
	if _, err := b.Open(t.Context(), "me"); err != nil {
		t.Error(err)
	}
}

// silent is an agent that reads requests and never answers. It tells each request.
func silent(t *testing.T) (*agent.Backend, <-chan byte) {
	t.Helper()
	requests := make(chan byte, 100)
	return &agent.Backend{Socket: agenttest.Listen(t, func(c net.Conn) {
		for kind := request(c); kind != 0; kind = request(c) {
			requests <- kind
		}
	})}, requests
}

// Each call ends with its context, while the agent has the request.
func TestSilent(t *testing.T) {
	for name, call := range map[string]func(context.Context, *agent.Backend) error{
		"Open":   func(ctx context.Context, b *agent.Backend) error { _, err := b.Open(ctx, "me"); return err },
		"List":   func(ctx context.Context, b *agent.Backend) error { _, err := b.List(ctx); return err },
		"Import": func(ctx context.Context, b *agent.Backend) error { return b.Import(ctx, "me", signertest.NewKey(t)) },
		"Delete": func(ctx context.Context, b *agent.Backend) error { return b.Delete(ctx, "me") },
	} {
		t.Run(name, func(t *testing.T) {
			checkLeftovers(t)
			b, requests := silent(t)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-requests
				cancel()
			}()
			wantError(t, call(ctx, b), context.Canceled, false, "agent#no-answer", "has not answered")

			b.Timeout = time.Millisecond
			wantError(t, call(t.Context(), b), context.DeadlineExceeded, false, "agent#no-answer", "has not answered")
		})
	}
}

// The context of a caller ends its wait for another call of Import.
func TestSilentImportAtOnce(t *testing.T) {
	checkLeftovers(t)
	b, requests := silent(t)
	first, endFirst := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Import(first, "first", signertest.NewKey(t)) }()
	<-requests
	ended, end := context.WithCancel(t.Context())
	end()
	if err := b.Import(ended, "second", signertest.NewKey(t)); err != context.Canceled {
		t.Errorf("got %v, want the context's error", err)
	}
	endFirst()
	<-done
}

// signing serves an agent that lists the key of pub and gives this answer to a request
// for a signature.
func signing(t *testing.T, pub ssh.PublicKey, answer []byte) signer.Signer {
	t.Helper()
	b := &agent.Backend{Socket: agenttest.Listen(t, func(c net.Conn) {
		for kind := request(c); kind != 0; kind = request(c) {
			reply := identities(pub.Marshal(), "me")
			if kind == signRequest {
				reply = answer
			}
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	})}
	k, err := b.Open(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signature returns the answer with a signature.
func signature(sig *ssh.Signature) []byte {
	return message(append([]byte{14}, ssh.Marshal(struct{ Blob []byte }{ssh.Marshal(sig)})...))
}

// No signature of an agent is used before it was verified.
func TestHostileSignatures(t *testing.T) {
	key, other := signertest.NewKey(t), signertest.NewKey(t)
	text := []byte("hello")
	sshKey, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := ssh.NewSignerFromKey(other)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(s ssh.Signer, text string) *ssh.Signature {
		sig, err := s.Sign(rand.Reader, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	for name, answer := range map[string][]byte{
		"another key":  signature(sign(otherKey, "hello")),
		"another text": signature(sign(sshKey, "bye")),
		"empty":        signature(&ssh.Signature{}),
		"no answer":    message([]byte{6}),
		"cut":          message([]byte{14, 0, 0, 0, 3, 0, 0, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			checkLeftovers(t)
			sig, err := signing(t, sshKey.PublicKey(), answer).Sign(t.Context(), text)
			if err == nil || sig != nil || signer.IsAbsent(err) {
				t.Errorf("got %v, %v, want an error", sig, err)
			}
		})
	}
	if _, err := signing(t, sshKey.PublicKey(), signature(sign(sshKey, "hello"))).Sign(t.Context(), text); err != nil {
		t.Errorf("the right signature: %v", err)
	}
}

// An old agent ignores the flags for SHA-2 and signs with SHA-1.
func TestHostileSHA1(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(rand.Reader, []byte("hello")) // with SHA-1
	if err != nil {
		t.Fatal(err)
	}
	k := signing(t, s.PublicKey(), signature(sig))
	if _, err := k.Sign(t.Context(), []byte("hello")); err == nil || signer.IsAbsent(err) {
		t.Errorf("got %v, want an error", err)
	}
}

// The agent says no to every request.
func TestRefuses(t *testing.T) {
	checkLeftovers(t)
	b := hostile{answer: message([]byte{5})}.start(t)
	_, err := b.Open(t.Context(), "me")
	wantError(t, err, signer.ErrLocked, false, "agent#empty-or-locked", "refuses to list")
	_, err = b.List(t.Context())
	wantError(t, err, signer.ErrLocked, false, "agent#empty-or-locked", "refuses to list")
}

func TestRefusesToSign(t *testing.T) {
	checkLeftovers(t)
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	k := signing(t, pub, message([]byte{5}))
	_, err = k.Sign(t.Context(), []byte("hello"))
	wantError(t, err, signer.ErrDenied, false, "agent#refused", "a person refused", "limited to certain SSH hosts", "gpg-agent")
	if signer.IsStale(k) {
		t.Error("the key is stale, and the agent still lists it")
	}
}

// After a refusal, the agent is asked for its list, and may refuse that too.
func TestRefusesToSignAndToList(t *testing.T) {
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan []byte, 3)
	answers <- identities(pub.Marshal(), "me")
	answers <- message([]byte{5})
	answers <- message([]byte{5})
	b := &agent.Backend{Socket: agenttest.Listen(t, func(c net.Conn) {
		for request(c) != 0 {
			if _, err := c.Write(<-answers); err != nil {
				return
			}
		}
	})}
	k, err := b.Open(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Sign(t.Context(), []byte("hello"))
	wantError(t, err, signer.ErrLocked, false, "agent#empty-or-locked", "refuses to list")
}

// The shortest list that announces two keys, and one byte less.
func TestHostileCounts(t *testing.T) {
	list := append([]byte{12, 0, 0, 0, 2}, make([]byte, 16)...) // two keys without a name
	b := hostile{answer: message(list)}.start(t)
	_, err := b.List(t.Context())
	wantError(t, err, nil, false, "agent#not-an-agent", "not an answer")
	b = hostile{answer: message(list[:len(list)-6])}.start(t)
	_, err = b.List(t.Context())
	wantError(t, err, nil, false, "agent#not-an-agent", "announces 2 keys in 15 bytes")
}
