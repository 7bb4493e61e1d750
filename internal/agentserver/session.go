package agentserver

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// maxBindings is the number of SSH sessions that one connection can be bound to, as in
// OpenSSH's agent.
const maxBindings = 16

// A binding is an SSH session that uses a connection to the agent.
type binding struct {
	hostKey   []byte
	sessionID []byte
	forwarded bool // by the agent forwarding of this session
}

// bindings are those of one connection, in order: the sessions that forward the
// agent, and at the end the session that a client logs in to.
type bindings struct {
	all    []binding
	failed bool // a client tried to bind a session and could not
}

// add checks the host key's signature of the session id, and adds the session. After a
// failure the connection gets no signature, because its sessions are not known.
func (b *bindings) add(r bindRequest) error {
	err := b.tryAdd(r)
	b.failed = b.failed || err != nil
	return err
}

func (b *bindings) tryAdd(r bindRequest) error {
	hostKey, err := ssh.ParsePublicKey(r.HostKey)
	if err != nil {
		return errors.New("the host key is malformed")
	}
	var sig ssh.Signature
	if err := ssh.Unmarshal(r.Signature, &sig); err != nil {
		return errors.New("the host key's signature is malformed")
	}
	if len(r.SessionID) == 0 || hostKey.Verify(r.SessionID, &sig) != nil {
		return fmt.Errorf("the session is not signed by the host key %s", ssh.FingerprintSHA256(hostKey))
	}
	for _, old := range b.all {
		if bytes.Equal(old.sessionID, r.SessionID) {
			if !bytes.Equal(old.hostKey, r.HostKey) || old.forwarded != r.Forwarded {
				return errors.New("the session is bound already, to another host key or for another use")
			}
			return nil
		}
	}
	if len(b.all) > 0 && !b.last().forwarded {
		return errors.New("the connection is bound already to a session that logs in")
	}
	if len(b.all) == maxBindings {
		return fmt.Errorf("more than %d sessions", maxBindings)
	}
	b.all = append(b.all, binding{r.HostKey, r.SessionID, r.Forwarded})
	return nil
}

func (b *bindings) last() binding { return b.all[len(b.all)-1] }

// isForwarded reports whether another host uses the connection. Clients before OpenSSH
// 8.9 do not tell.
func (b *bindings) isForwarded() bool { return len(b.all) > 0 && b.all[0].forwarded }

// check returns nil if the login is to the last session that is bound. Without any
// bound session, it returns nil if allowUnbound is true.
func (b *bindings) check(l login, allowUnbound bool) error {
	switch {
	case len(b.all) == 0 && allowUnbound:
		return nil
	case len(b.all) == 0:
		return errUnbound
	}
	switch last := b.last(); {
	case last.forwarded:
		return errors.New("a host that this agent is forwarded to asks for a login without a bound session")
	case !bytes.Equal(last.sessionID, l.SessionID):
		return errors.New("the login is to another session than the bound one")
	case l.HostKey != nil && !bytes.Equal(last.hostKey, l.HostKey):
		return errors.New("the login is to another host key than that of the bound session")
	}
	return nil
}

// hostKey returns the fingerprint of the host that l logs in to, or "" if the client
// did not tell.
func (b *bindings) hostKey(l login) string {
	blob := l.HostKey
	if len(b.all) > 0 {
		blob = b.last().hostKey
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(key)
}

var errUnbound = errors.New("the client did not tell the session that it logs in to (OpenSSH does since 8.9)")
