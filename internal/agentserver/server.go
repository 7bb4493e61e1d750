// Package agentserver serves keys over the ssh-agent protocol
// (draft-ietf-sshm-ssh-agent, and PROTOCOL.agent of OpenSSH). Each key signs for its
// purposes only, and never a digest or a text of an unknown protocol. A login needs a
// session that the client bound with session-bind@openssh.com. Hosts that the agent is
// forwarded to get logins only.
package agentserver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

const (
	// maxClients is the number of connections at a time. One more closes the
	// connection that was idle the longest.
	maxClients = 64

	// messageTimeout is the time in which the rest of a message that has begun must
	// arrive, and in which a client must take its answer.
	messageTimeout = 10 * time.Second

	// listTimeout is the time that the keys have to tell their public halves.
	listTimeout = 5 * time.Second

	// signTimeout is the time that a signature may take, with all questions to a person.
	signTimeout = 5 * time.Minute
)

// A Key is a key that a [Server] serves.
type Key struct {
	// Name is the comment that clients show, and the name in the log.
	Name string

	// Public is the public half, if it is known before the key is opened.
	Public ssh.PublicKey

	// Open returns the key. It is called for each request, so it keeps an opened key.
	Open func(ctx context.Context) (signer.Signer, error)

	// Purposes returns the purposes of the key pub. [guard.Raw] and [guard.Digest] among
	// them have no effect.
	Purposes func(pub ssh.PublicKey) []guard.Purpose
}

// A Use is a signature that a client asks for.
type Use struct {
	Key         string // its name
	Fingerprint string
	Purpose     guard.Purpose // with its audience, if the text names one
	User        string        // of a login
	HostKey     string        // the fingerprint of the host of a login; "" if the client did not tell it
	Forwarded   bool          // another host asks, which this agent is forwarded to
}

// A Server answers requests for signatures. Its fields do not change while it serves.
type Server struct {
	Keys []Key

	// AllowUnbound allows logins on connections without a bound session: OpenSSH before
	// 8.9 and other programs cannot bind one.
	AllowUnbound bool

	// Confirm returns an error if a person refuses the signature. Nil: nobody is asked.
	Confirm func(ctx context.Context, u Use) error

	// Expires is the time after which Serve ends. Zero: never.
	Expires time.Time

	// Log gets a line for each signature and each refusal.
	Log *slog.Logger

	lock    lock
	mu      sync.Mutex
	clients map[*client]bool
	public  map[*Key]ssh.PublicKey // the halves that clients were told
}

// Serve answers the clients of l until ctx ends or s expires. It then closes l and all
// connections, and returns when all goroutines have ended. The error is that of l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.Expires.IsZero() {
		var stop func()
		ctx, stop = context.WithDeadline(ctx, s.Expires)
		defer stop()
	}
	var all sync.WaitGroup
	all.Go(func() {
		<-ctx.Done()
		l.Close() // ends Accept
	})
	defer all.Wait()
	defer cancel() // before Wait
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// The process may have too many open files, for some time.
			s.Log.Warn("no connection accepted", "error", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		c := &client{server: s, conn: conn, since: time.Now(), end: cancel}
		if !s.enter(c) {
			s.Log.Warn("connection refused", "reason", "too many clients wait for signatures")
			conn.Close()
			continue
		}
		all.Go(func() {
			defer s.leave(c)
			c.serve(ctx)
		})
	}
}

// enter adds c. If there are too many clients, it closes the one that was idle the
// longest; it returns false if none is idle.
func (s *Server) enter(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= maxClients {
		var idle *client
		for other := range s.clients {
			if !other.busy && (idle == nil || other.since.Before(idle.since)) {
				idle = other
			}
		}
		if idle == nil {
			return false
		}
		idle.conn.Close()
		delete(s.clients, idle)
	}
	if s.clients == nil {
		s.clients = map[*client]bool{}
	}
	s.clients[c] = true
	return true
}

func (s *Server) leave(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}

// setBusy notes whether c waits for an answer.
func (s *Server) setBusy(c *client, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.busy, c.since = busy, time.Now()
}

// hasExpired compares wall clocks, because timers stand still while a computer sleeps.
func (s *Server) hasExpired() bool {
	return !s.Expires.IsZero() && !time.Now().Round(0).Before(s.Expires.Round(0))
}

// refusal returns the reason why s signs nothing now, or nil.
func (s *Server) refusal() error {
	switch {
	case s.lock.isLocked():
		return errLocked
	case s.hasExpired():
		return errExpired
	}
	return nil
}

// An openedKey is a key with its public half.
type openedKey struct {
	*Key
	public ssh.PublicKey
}

// publicKeys returns the keys whose public half is known or can be learnt without a
// question to a person.
func (s *Server) publicKeys(ctx context.Context) []openedKey {
	ctx, cancel := context.WithTimeout(signer.WithoutPrompt(ctx), listTimeout)
	defer cancel()
	known := make([]ssh.PublicKey, len(s.Keys))
	var all sync.WaitGroup
	for i := range s.Keys {
		known[i] = s.Keys[i].Public
		all.Go(func() {
			if opened, err := s.Keys[i].Open(ctx); err == nil {
				known[i] = opened.PublicKey()
			}
		})
	}
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.public = map[*Key]ssh.PublicKey{}
	var keys []openedKey
	for i, pub := range known {
		if pub != nil {
			s.public[&s.Keys[i]] = pub
			keys = append(keys, openedKey{&s.Keys[i], pub})
		}
	}
	return keys
}

// find returns the key with this public half. It asks the other keys only if no client
// was told of the key.
func (s *Server) find(ctx context.Context, blob []byte) (openedKey, bool) {
	s.mu.Lock()
	for key, pub := range s.public {
		if bytes.Equal(pub.Marshal(), blob) {
			s.mu.Unlock()
			return openedKey{key, pub}, true
		}
	}
	s.mu.Unlock()
	for _, key := range s.publicKeys(ctx) {
		if bytes.Equal(key.public.Marshal(), blob) {
			return key, true
		}
	}
	return openedKey{}, false
}
