package agentserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A client is one connection.
type client struct {
	server   *Server
	conn     net.Conn
	bindings bindings
	end      func() // ends the server

	busy  bool      // the client waits for an answer; guarded by Server.mu
	since time.Time // the last change of busy; guarded by Server.mu
}

// serve answers requests one after the other until the client leaves or ctx ends. A
// client that leaves ends its request.
func (c *client) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	requests := make(chan []byte)
	var others sync.WaitGroup
	others.Go(func() {
		defer cancel()
		defer close(requests)
		c.read(ctx, requests)
	})
	others.Go(func() {
		<-ctx.Done()
		c.conn.Close() // ends a read or a write
	})
	defer others.Wait()
	defer cancel()
	for msg := range requests {
		c.server.setBusy(c, true)
		answer := c.answer(ctx, msg)
		_ = c.conn.SetWriteDeadline(time.Now().Add(messageTimeout)) // fails for a closed connection, as the next line
		if err := writeMessage(c.conn, answer); err != nil {
			return
		}
		c.server.setBusy(c, false)
	}
}

// read sends the messages of the client to requests. A client may be silent between
// two messages, but not in the middle of one.
func (c *client) read(ctx context.Context, requests chan<- []byte) {
	for {
		var first [1]byte
		if _, err := io.ReadFull(c.conn, first[:]); err != nil {
			return
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(messageTimeout))
		msg, err := readMessage(io.MultiReader(bytes.NewReader(first[:]), c.conn))
		if err != nil {
			c.server.Log.Warn("connection closed", "reason", err)
			return
		}
		_ = c.conn.SetReadDeadline(time.Time{})
		select {
		case requests <- msg:
		case <-ctx.Done():
			return
		}
	}
}

// answer returns the answer to one message.
func (c *client) answer(ctx context.Context, msg []byte) []byte {
	if c.server.hasExpired() {
		c.end()
		return []byte{msgFailure}
	}
	switch msg[0] {
	case msgList:
		return c.list(ctx)
	case msgSign:
		sig, err := c.sign(ctx, msg)
		if err != nil {
			return []byte{msgFailure}
		}
		return ssh.Marshal(signAnswer{ssh.Marshal(sig)})
	case msgLock, msgUnlock:
		return c.setLock(ctx, msg)
	case msgExtension:
		return c.extend(msg)
	}
	c.server.Log.Warn("request refused", "reason", "this agent serves signatures only, and its keys are named on its command line", "message", msg[0])
	return []byte{msgFailure}
}

func (c *client) list(ctx context.Context) []byte {
	answer := listAnswer{}
	if !c.server.lock.isLocked() {
		for _, k := range c.server.publicKeys(ctx) {
			answer.Count++
			answer.Keys = append(answer.Keys, ssh.Marshal(listedKey{k.public.Marshal(), k.Name})...)
		}
	}
	return ssh.Marshal(answer)
}

func (c *client) setLock(ctx context.Context, msg []byte) []byte {
	var r lockRequest
	err := ssh.Unmarshal(msg, &r)
	switch {
	case err != nil:
		err = errMalformed
	case c.bindings.isForwarded():
		err = errForwarded
	case msg[0] == msgLock:
		err = c.server.lock.lock(r.Passphrase)
	default:
		err = c.server.lock.unlock(ctx, r.Passphrase)
	}
	if err != nil {
		c.server.Log.Warn("lock not changed", "reason", err)
		return []byte{msgFailure}
	}
	c.server.Log.Info("lock changed", "locked", msg[0] == msgLock)
	return []byte{msgSuccess}
}

func (c *client) extend(msg []byte) []byte {
	var r extensionRequest
	if ssh.Unmarshal(msg, &r) != nil || r.Name != "session-bind@openssh.com" {
		return []byte{msgFailure}
	}
	var bind bindRequest
	err := ssh.Unmarshal(r.Contents, &bind)
	if err != nil {
		err = errMalformed
		c.bindings.failed = true
	} else {
		err = c.bindings.add(bind)
	}
	if err != nil {
		c.server.Log.Warn("session not bound", "reason", err)
		return []byte{msgExtensionFailure}
	}
	return []byte{msgSuccess}
}

var (
	errMalformed = errors.New("the request is malformed")
	errLocked    = errors.New("the agent is locked: ssh-add -X unlocks it")
	errExpired   = errors.New("the agent's lifetime is over")
	errForwarded = errors.New("a host that this agent is forwarded to may ask for logins only")
)

// sign signs, and logs the signature or the refusal.
func (c *client) sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	use := Use{Forwarded: c.bindings.isForwarded()}
	sig, err := c.signUse(ctx, msg, &use)
	attrs := []any{"key", use.Key, "fingerprint", use.Fingerprint, "purpose", use.Purpose}
	if use.User != "" {
		attrs = append(attrs, "user", use.User, "host_key", use.HostKey)
	}
	if use.Forwarded {
		attrs = append(attrs, "forwarded", true)
	}
	if err != nil {
		c.server.Log.Warn("refused to sign", append(attrs, "reason", err)...)
		return nil, err
	}
	c.server.Log.Info("signed", attrs...)
	return sig, nil
}

// signUse describes the signature in use, checks that it is allowed, and signs.
func (c *client) signUse(ctx context.Context, msg []byte, use *Use) (*ssh.Signature, error) {
	var r signRequest
	if err := ssh.Unmarshal(msg, &r); err != nil {
		return nil, errMalformed
	}
	use.Purpose = guard.PurposeOf(r.Data)
	if audience := guard.AudienceOf(r.Data); audience != "" {
		use.Purpose = use.Purpose.For(audience)
	}
	if err := c.server.refusal(); err != nil {
		return nil, err
	}
	key, ok := c.server.find(ctx, r.Key)
	if !ok {
		return nil, errors.New("the agent does not serve this key")
	}
	use.Key, use.Fingerprint = key.Name, ssh.FingerprintSHA256(key.public)
	allowed := slices.DeleteFunc(slices.Clone(key.Purposes(key.public)), func(p guard.Purpose) bool { return p == guard.Raw || p == guard.Digest })
	if err := guard.Check(r.Data, allowed...); err != nil {
		return nil, err
	}
	if err := c.checkProtocol(r, use); err != nil {
		return nil, err
	}
	algorithm, err := algorithmOf(key.public, r.Flags)
	if err != nil {
		return nil, err
	}
	if c.server.Confirm != nil {
		if err := c.server.Confirm(ctx, *use); err != nil {
			return nil, err
		}
	}
	opened, err := key.Open(ctx)
	if err != nil {
		return nil, err
	}
	if !signer.SameKey(opened.PublicKey(), key.public) {
		return nil, fmt.Errorf("another key has taken its place: %s", ssh.FingerprintSHA256(opened.PublicKey()))
	}
	if err := c.server.refusal(); err != nil { // a person may have taken long to answer
		return nil, err
	}
	return signer.SignAlgorithm(ctx, guard.Only(opened, allowed...), r.Data, algorithm)
}

// checkProtocol checks the whole text of a login or an SSHSIG, and the connection that
// the request came on.
func (c *client) checkProtocol(r signRequest, use *Use) error {
	if c.bindings.failed {
		return errors.New("the client could not prove its session")
	}
	if use.Purpose != guard.UserAuth {
		if c.bindings.isForwarded() {
			return errForwarded
		}
		if use.Purpose.Protocol() == guard.SSHSig {
			return checkSSHSIG(r.Data)
		}
		return nil
	}
	l, err := parseLogin(r.Data)
	if err != nil {
		return err
	}
	use.User, use.HostKey = printable.Text(l.User), c.bindings.hostKey(l)
	return c.bindings.check(l, c.server.AllowUnbound)
}
