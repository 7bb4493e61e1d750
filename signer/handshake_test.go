package signer_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// recorder notes the formats of the signatures that go out.
type recorder struct {
	signer.Signer
	mu      sync.Mutex
	formats []string
}

func (r *recorder) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	sig, err := r.Signer.Sign(ctx, msg)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.formats = append(r.formats, sig.Format)
	}
	return sig, err
}

func newRecorder(t *testing.T, k kind) *recorder {
	t.Helper()
	s, err := signer.New(k.key)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{Signer: s}
}

// login lets a client with key log in to a server with hostKey. Of the two,
// only SSH's own rules choose the algorithms.
func login(t *testing.T, hostKey, key ssh.Signer, adjust func(*ssh.ServerConfig, *ssh.ClientConfig)) error {
	t.Helper()
	server := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, pub ssh.PublicKey) (*ssh.Permissions, error) {
			if !signer.SameKey(pub, key.PublicKey()) {
				t.Error("the client logs in with another key")
			}
			return nil, nil
		},
	}
	server.AddHostKey(hostKey)
	client := &ssh.ClientConfig{
		User:            "me",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.FixedHostKey(hostKey.PublicKey()),
	}
	if adjust != nil {
		adjust(server, client)
	}

	// Not net.Pipe: both ends write first, and that has no buffer.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if conn, _, _, err := ssh.NewServerConn(c, server); err == nil {
			conn.Wait()
		}
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, _, err = ssh.NewClientConn(c, "", client)
	return err
}

func TestSSHHandshake(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			host, user := newRecorder(t, k), newRecorder(t, k)
			if err := login(t, signer.ToSSH(t.Context(), host), signer.ToSSH(t.Context(), user), nil); err != nil {
				t.Fatal(err)
			}
			for _, r := range []*recorder{host, user} {
				if !slices.Equal(r.formats, []string{k.format}) {
					t.Errorf("signed with %q, want one %s", r.formats, k.format)
				}
			}
		})
	}
}

// A peer that insists on SHA-1 gets nothing.
func TestSSHHandshakeNeverSHA1(t *testing.T) {
	k := kind{"RSA", newRSA(t), ssh.KeyAlgoRSASHA512}
	for name, adjust := range map[string]func(*ssh.ServerConfig, *ssh.ClientConfig){
		"for the host": func(_ *ssh.ServerConfig, c *ssh.ClientConfig) { c.HostKeyAlgorithms = []string{ssh.KeyAlgoRSA} },
		"for the user": func(s *ssh.ServerConfig, _ *ssh.ClientConfig) { s.PublicKeyAuthAlgorithms = []string{ssh.KeyAlgoRSA} },
	} {
		t.Run(name, func(t *testing.T) {
			host, user := newRecorder(t, k), newRecorder(t, k)
			if err := login(t, signer.ToSSH(t.Context(), host), signer.ToSSH(t.Context(), user), adjust); err == nil {
				t.Error("logged in")
			}
			if formats := slices.Concat(host.formats, user.formats); slices.Contains(formats, ssh.KeyAlgoRSA) {
				t.Errorf("signed with %q", formats)
			}
		})
	}
}

func TestSSHHandshakeEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := login(t, signer.ToSSH(t.Context(), newSigner(t)), signer.ToSSH(ctx, newSigner(t)), nil)
	if err == nil {
		t.Error("logged in")
	}
}
