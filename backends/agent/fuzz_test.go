package agent

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/internal/printable"
)

// canned is a connection to an agent that answers everything with the same bytes.
type canned struct {
	net.Conn
	answer *bytes.Reader
}

func (c canned) Write(b []byte) (int, error) { return len(b), nil }
func (c canned) Read(b []byte) (int, error)  { return c.answer.Read(b) }

// FuzzAnswer gives answers of an agent to the code that reads them. It must not panic,
// allocate as much as the answer announces, or print what a terminal would obey.
func FuzzAnswer(f *testing.F) {
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		f.Fatal(err)
	}
	one := append([]byte{12}, ssh.Marshal(struct {
		N       uint32
		Blob    []byte
		Comment string
	}{1, pub.Marshal(), "me\x1b[31m"})...)
	for _, payload := range [][]byte{{}, {5}, {6}, one, {12, 0, 0, 0, 0}, {14, 0, 0, 0, 0}} {
		f.Add(append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		client := func() (*exchange, sshagent.ExtendedAgent) {
			x := &exchange{conn: canned{answer: bytes.NewReader(answer)}}
			return x, sshagent.NewClient(struct {
				io.Reader
				io.Writer
			}{x, x})
		}
		x, a := client()
		keys, err := a.List()
		if err != nil {
			err = x.explain(t.Context(), "/socket", err)
			if printable.Lines(err.Error()) != err.Error() {
				t.Errorf("not printable: %q", err)
			}
		}
		l := newListing("/socket", keys)
		for _, e := range l.entries {
			name := l.nameOf(e)
			if checkName(name) != nil || !printable.IsSafe(name) {
				t.Errorf("the name %q cannot be used", name)
			}
			if found, err := l.find(name); e.pub != nil && (err != nil || found.fingerprint != e.fingerprint) {
				t.Errorf("the name %q of %s is that of %s: %v", name, e.fingerprint, found.fingerprint, err)
			}
		}
		for _, name := range []string{"", "me"} {
			if _, err := l.find(name); err != nil && printable.Lines(err.Error()) != err.Error() {
				t.Errorf("not printable: %q", err)
			}
		}
		_, a = client()
		_, _ = a.SignWithFlags(pub, []byte("text"), 0)
		if cap := x.answer.Cap(); cap > 2*maxMessage+1024 {
			t.Errorf("%d bytes were allocated", cap)
		}
	})
}
