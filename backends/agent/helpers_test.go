package agent_test

import (
	"crypto"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/internal/agenttest"
	"github.com/countersign/countersign/internal/leftovers"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// checkLeftovers fails t if more goroutines or open files are there when it ends than
// now. A test calls it first, because t.Cleanup runs the last function first.
func checkLeftovers(t *testing.T) {
	t.Helper()
	before := leftovers.Now()
	t.Cleanup(func() { before.Check(t) })
}

// wantError fails unless err wraps want (if not nil), a search would go on after it or
// not as absent says, it has a hint with that topic, and its text has all texts.
func wantError(t *testing.T, err, want error, absent bool, topic string, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("got error %v, want one that is %q", err, want)
	}
	if want == nil {
		for _, kind := range []error{signer.ErrNotFound, signer.ErrUnavailable, signer.ErrLocked, signer.ErrDenied, signer.ErrUnsupported, signer.ErrName} {
			if errors.Is(err, kind) {
				t.Errorf("got error %v of kind %q, want none of the kinds", err, kind)
			}
		}
	}
	if signer.IsAbsent(err) != absent {
		t.Errorf("IsAbsent(%v) is %t", err, !absent)
	}
	if hint, _ := signer.HintOf(err); hint.See != topic || hint.Do == "" {
		t.Errorf("the hint of %v is %+v, want the topic %q", err, hint, topic)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got error %v, want one that says %q", err, text)
		}
	}
}

// newKeyring returns an agent in memory with keys of these comments, and their public
// halves.
func newKeyring(t *testing.T, comments ...string) (sshagent.Agent, []ssh.PublicKey) {
	t.Helper()
	a := sshagent.NewKeyring()
	var pubs []ssh.PublicKey
	for _, comment := range comments {
		pubs = append(pubs, add(t, a, signertest.NewKey(t), comment))
	}
	return a, pubs
}

func add(t *testing.T, a sshagent.Agent, key crypto.Signer, comment string) ssh.PublicKey {
	t.Helper()
	if err := a.Add(sshagent.AddedKey{PrivateKey: key, Comment: comment}); err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func serve(t *testing.T, a sshagent.Agent) *agent.Backend {
	t.Helper()
	return &agent.Backend{Socket: agenttest.Serve(t, a)}
}

// message returns an answer with its length before it.
func message(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// identities returns the answer that lists one key.
func identities(blob []byte, comment string) []byte {
	return message(append([]byte{12}, ssh.Marshal(struct {
		N       uint32
		Blob    []byte
		Comment string
	}{1, blob, comment})...))
}

// request reads one request and returns its type, or 0 after the last request.
func request(c net.Conn) byte {
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return 0
	}
	body := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c, body); err != nil || len(body) == 0 {
		return 0
	}
	return body[0]
}

const signRequest = 13
