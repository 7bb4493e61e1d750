package agent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	sshagent "golang.org/x/crypto/ssh/agent"
)

// maxMessage is the longest message, in bytes, that OpenSSH's agent takes or sends
// (AGENT_MAX_LEN in ssh-agent.c).
const maxMessage = 256 << 10

// The types of answers (draft-ietf-sshm-ssh-agent, section 6.1).
const (
	answerFailure    = 5
	answerIdentities = 12
)

// socket returns the path of the agent's socket.
func (b *Backend) socket() (string, error) {
	path := cmp.Or(b.Socket, os.Getenv("SSH_AUTH_SOCK"), defaultSocket)
	if path == "" {
		return "", errNoAgent
	}
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest == "" || !os.IsPathSeparator(rest[0]) {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", noHome(err)
	}
	return filepath.Join(home, rest), nil
}

// call runs fn with a client of the agent, on a connection of its own. fn makes one
// request. The error is errRefused if the agent answered with a failure.
func call[T any](ctx context.Context, b *Backend, fn func(sshagent.ExtendedAgent) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	socket, err := b.socket()
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(b.Timeout, defaultTimeout))
	defer cancel()
	conn, err := dial(ctx, socket)
	if err != nil {
		return none, explainDial(ctx, socket, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	x := &exchange{conn: conn}
	// With an io.Closer, NewClient would start a goroutine that an agent which
	// answers too much keeps for ever.
	val, err := fn(sshagent.NewClient(struct {
		io.Reader
		io.Writer
	}{x, x}))
	if err != nil {
		return none, x.explain(ctx, socket, err)
	}
	return val, nil
}

// errRefused is the answer SSH_AGENT_FAILURE, which has no reason with it.
var errRefused = errors.New("the agent refused")

// explainRefusal returns refusal in the place of errRefused.
func explainRefusal(err, refusal error) error {
	if errors.Is(err, errRefused) {
		return refusal
	}
	return err
}

// An exchange reads each answer whole before it gives it to the client of x/crypto.
// That client would allocate 16 MiB because an agent announces them, and its errors
// do not tell a refusal from a broken connection.
type exchange struct {
	conn   net.Conn
	answer bytes.Buffer // not read yet
	kind   byte         // the type of the answer
	err    error        // of the connection or of the answer
}

func (x *exchange) Write(b []byte) (int, error) {
	n, err := x.conn.Write(b)
	x.err = err
	return n, err
}

func (x *exchange) Read(b []byte) (int, error) {
	if x.answer.Len() == 0 && x.err == nil {
		x.err = x.receive()
	}
	if x.err != nil {
		return 0, x.err
	}
	return x.answer.Read(b)
}

// receive reads one answer: its length, its type, and the rest.
func (x *exchange) receive() error {
	var length [4]byte
	if _, err := io.ReadFull(x.conn, length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > maxMessage {
		return fmt.Errorf("%w: it announces %d bytes, and an answer has 1 to %d", errProtocol, n, maxMessage)
	}
	x.answer.Write(length[:])
	if _, err := io.CopyN(&x.answer, x.conn, int64(n)); err != nil {
		return err
	}
	message := x.answer.Bytes()[len(length):]
	x.kind = message[0]
	return checkCount(message)
}

// checkCount refuses a list that announces more keys than its bytes can hold. The
// client of x/crypto would allocate memory for each.
func checkCount(message []byte) error {
	const perKey = 8 // the lengths of the key and of its comment
	if message[0] != answerIdentities || len(message) < 5 {
		return nil
	}
	if n := binary.BigEndian.Uint32(message[1:]); uint64(n)*perKey > uint64(len(message)) {
		return fmt.Errorf("%w: it announces %d keys in %d bytes", errProtocol, n, len(message))
	}
	return nil
}

// explain returns the cause of an error of the client of x/crypto, whose text alone
// tells it.
func (x *exchange) explain(ctx context.Context, socket string, err error) error {
	switch {
	case ctx.Err() != nil:
		return noAnswer(socket, ctx.Err())
	case errors.Is(x.err, errProtocol):
		return garbled(socket, x.err)
	case x.err != nil:
		return hungUp(socket, x.err)
	case x.kind == answerFailure:
		return errRefused
	}
	return garbled(socket, fmt.Errorf("%w: %w", errProtocol, err))
}

// errProtocol: the answer is not one of the protocol.
var errProtocol = errors.New("not an answer of an SSH agent")
