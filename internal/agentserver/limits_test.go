package agentserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

// A pipeListener accepts the far ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// dial returns the near end of a new pipe.
func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

// serve runs s in a bubble. The bubble ends only if all goroutines of s end.
func serve(t *testing.T, s *Server, test func(*testing.T, *pipeListener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		test(t, l)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// isClosed reports whether the server closed the connection.
func isClosed(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := conn.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func TestServeSlowMessage(t *testing.T) {
	s, log := newServer(keyOf(newKey(t), guard.SSHSig))
	serve(t, s, func(t *testing.T, l *pipeListener) {
		idle, slow := l.dial(), l.dial()
		_, _ = slow.Write([]byte{0, 0, 0})
		time.Sleep(messageTimeout - time.Second)
		if isClosed(slow) {
			t.Error("closed before its time")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !isClosed(slow) {
			t.Error("a message that never ends keeps its connection")
		}
		time.Sleep(24 * time.Hour)
		if isClosed(idle) {
			t.Errorf("an idle connection was closed:\n%s", log)
		}
		_ = idle.SetReadDeadline(time.Time{})
		if got := ask(t, idle, []byte{msgList}); got[0] != msgListAnswer {
			t.Errorf("answered %q", got)
		}
	})
}

// TestServeClientThatDoesNotRead wants an end to an answer that nobody takes.
func TestServeClientThatDoesNotRead(t *testing.T) {
	s, _ := newServer(keyOf(newKey(t), guard.SSHSig))
	serve(t, s, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		if err := writeMessage(conn, []byte{msgList}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(messageTimeout + time.Second)
		synctest.Wait()
		if !isClosed(conn) {
			t.Error("the connection is open")
		}
	})
}

func TestServeLength(t *testing.T) {
	s, log := newServer()
	serve(t, s, func(t *testing.T, l *pipeListener) {
		for _, header := range []string{"\x00\x00\x00\x00", "\x00\x04\x00\x01", "\x01\x00\x00\x00", "\xff\xff\xff\xff"} {
			conn := l.dial()
			_, _ = conn.Write([]byte(header))
			synctest.Wait()
			if !isClosed(conn) || !strings.Contains(log.String(), "connection closed") {
				t.Errorf("a message of %q bytes keeps its connection, or is not in the log:\n%s", header, log)
			}
		}
		conn := l.dial()
		longest := append([]byte{msgSign}, make([]byte, maxMessage-1)...)
		if got := ask(t, conn, longest); got[0] != msgFailure {
			t.Errorf("answered %q", got)
		}
	})
}

// TestServeManyClients opens more connections than are served. The oldest idle ones
// make room.
func TestServeManyClients(t *testing.T) {
	s, _ := newServer()
	serve(t, s, func(t *testing.T, l *pipeListener) {
		var conns []net.Conn
		for range 128 {
			conns = append(conns, l.dial())
			time.Sleep(time.Second)
			if got := ask(t, conns[0], []byte{msgList}); got[0] != msgListAnswer { // never idle for long
				t.Fatalf("answered %q", got)
			}
		}
		synctest.Wait()
		for i, conn := range conns {
			if got, want := isClosed(conn), i > 0 && i <= 64; got != want {
				t.Errorf("connection %d of 128 is closed: %v, want %v", i, got, want)
			}
		}
	})
	if len(s.clients) != 0 {
		t.Errorf("%d clients are left", len(s.clients))
	}
}

// TestServeBusyClients wants clients that wait for a signature to stay when others come.
func TestServeBusyClients(t *testing.T) {
	key := newKey(t)
	s, _ := newServer(keyOf(key, guard.SSHSig))
	request := ssh.Marshal(signRequest{key.PublicKey().Marshal(), sshsig("git", "sha256", 32), 0})
	serve(t, s, func(t *testing.T, l *pipeListener) {
		answers := make(chan error)
		s.Confirm = func(context.Context, Use) error { return <-answers }
		var conns []net.Conn
		for range maxClients {
			conn := l.dial()
			if err := writeMessage(conn, request); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		synctest.Wait()
		one := l.dial()
		synctest.Wait()
		if !isClosed(one) {
			t.Error("one connection too many is open")
		}
		for range conns {
			answers <- nil
		}
		for _, conn := range conns {
			if answer, err := readMessage(conn); err != nil || answer[0] != msgSignAnswer {
				t.Errorf("answered %q, %v", answer, err)
			}
		}
		conn := l.dial() // takes the place of an idle one
		if got := ask(t, conn, []byte{msgList}); got[0] != msgListAnswer {
			t.Errorf("answered %q", got)
		}
	})
}

// TestServeClientThatLeaves wants the question to a person to end with the client.
func TestServeClientThatLeaves(t *testing.T) {
	key := newKey(t)
	s, _ := newServer(keyOf(key, guard.SSHSig))
	asked, ended := make(chan bool, 1), make(chan bool, 1)
	s.Confirm = func(ctx context.Context, _ Use) error {
		asked <- true
		<-ctx.Done()
		ended <- true
		return ctx.Err()
	}
	request := ssh.Marshal(signRequest{key.PublicKey().Marshal(), sshsig("git", "sha256", 32), 0})
	serve(t, s, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		if err := writeMessage(conn, request); err != nil {
			t.Fatal(err)
		}
		<-asked
		start := time.Now()
		conn.Close()
		<-ended
		if waited := time.Since(start); waited != 0 {
			t.Errorf("the question ended after %v", waited)
		}
		conn = l.dial() // a person who never answers
		if err := writeMessage(conn, request); err != nil {
			t.Fatal(err)
		}
		<-asked
		start = time.Now()
		if answer, err := readMessage(conn); err != nil || answer[0] != msgFailure || time.Since(start) != signTimeout {
			t.Errorf("answered %q, %v after %v", answer, err, time.Since(start))
		}
		<-ended
	})
}

func TestServeExpires(t *testing.T) {
	key := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(keyOf(key, guard.SSHSig))
		s.Expires = time.Now().Add(time.Hour)
		l := newPipeListener()
		done := make(chan error, 1)
		go func() { done <- s.Serve(t.Context(), l) }()
		conn := l.dial()
		time.Sleep(time.Hour - time.Second)
		if askToSign(t, conn, key.PublicKey(), sshsig("git", "sha256", 32), 0) == nil {
			t.Error("refused before its time")
		}
		time.Sleep(time.Second)
		if err := <-done; err != nil || !isClosed(conn) {
			t.Errorf("%v, or the connection is open", err)
		}
	})
}

// TestServeExpiredWhileAsleep has a wall clock that passed Expires, and a timer that
// stood still.
func TestServeExpiredWhileAsleep(t *testing.T) {
	key := newKey(t)
	s, _ := newServer(keyOf(key, guard.SSHSig))
	serve(t, s, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		synctest.Wait()
		s.Expires = time.Now().Round(0)
		if err := writeMessage(conn, ssh.Marshal(signRequest{key.PublicKey().Marshal(), sshsig("git", "sha256", 32), 0})); err != nil {
			t.Fatal(err)
		}
		if answer, err := readMessage(conn); err == nil && answer[0] != msgFailure {
			t.Errorf("answered %q after its time", answer)
		}
		synctest.Wait()
		if !isClosed(conn) {
			t.Error("it serves after its time")
		}
	})
}

// TestServeEndsWhilePersonDecides has a person who allows a signature after the agent was
// locked, or after its lifetime ended while the machine was asleep.
func TestServeEndsWhilePersonDecides(t *testing.T) {
	for name, end := range map[string]func(*Server, *pipeListener){
		"locked": func(_ *Server, l *pipeListener) {
			if answer := ask(t, l.dial(), append([]byte{msgLock}, ssh.Marshal(struct{ Passphrase string }{"pw"})...)); answer[0] != msgSuccess {
				t.Errorf("ssh-add -x is answered %q", answer)
			}
		},
		"expired": func(s *Server, _ *pipeListener) { s.Expires = time.Now().Round(0) },
	} {
		t.Run(name, func(t *testing.T) {
			key := newKey(t)
			s, _ := newServer(keyOf(key, guard.SSHSig))
			asked, allowed := make(chan bool), make(chan bool)
			s.Confirm = func(context.Context, Use) error {
				asked <- true
				<-allowed
				return nil
			}
			serve(t, s, func(t *testing.T, l *pipeListener) {
				conn := l.dial()
				if err := writeMessage(conn, ssh.Marshal(signRequest{key.PublicKey().Marshal(), sshsig("git", "sha256", 32), 0})); err != nil {
					t.Fatal(err)
				}
				<-asked
				end(s, l)
				allowed <- true
				if answer, err := readMessage(conn); err != nil || answer[0] != msgFailure {
					t.Errorf("answered %q, %v", answer, err)
				}
			})
		})
	}
}

func TestServeSlowStore(t *testing.T) {
	key := newKey(t)
	slow := Key{
		Name: "slow", Public: newKey(t).PublicKey(), Purposes: func(ssh.PublicKey) []guard.Purpose { return nil },
		Open: func(ctx context.Context) (signer.Signer, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
	s, _ := newServer(slow, keyOf(key, guard.SSHSig))
	serve(t, s, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		start := time.Now()
		var answer listAnswer
		if err := ssh.Unmarshal(ask(t, conn, []byte{msgList}), &answer); err != nil || answer.Count != 2 || time.Since(start) != 5*time.Second {
			t.Errorf("%d keys, %v after %v", answer.Count, err, time.Since(start))
		}
		start = time.Now()
		if askToSign(t, conn, key.PublicKey(), sshsig("git", "sha256", 32), 0) == nil || time.Since(start) != 0 {
			t.Errorf("another key's store delays a signature by %v", time.Since(start))
		}
	})
}

// TestUnlockIsSlowAfterFailures guesses passphrases.
func TestUnlockIsSlowAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lock
		if err := l.lock([]byte("pw")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 10 {
			if l.unlock(t.Context(), []byte("guess")) == nil {
				t.Error("unlocked with a guess")
			}
		}
		if took := time.Since(start); took != 4500*time.Millisecond {
			t.Errorf("10 guesses took %v, want 4.5 s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.unlock(ctx, []byte("pw")); !errors.Is(err, context.Canceled) || !l.isLocked() {
			t.Errorf("an ended context: %v", err)
		}
		l.failures = 1000
		start = time.Now()
		if err := l.unlock(t.Context(), []byte("pw")); err != nil || l.isLocked() || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := l.lock([]byte("pw")); err != nil || l.failures != 0 {
			t.Errorf("%v, %d failures", err, l.failures)
		}
	})
}

// TestUnlockWaitsWithItsContext has a client that leaves while another client's guess makes
// it wait.
func TestUnlockWaitsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lock{locked: true, failures: 100}
		go func() { _ = l.unlock(t.Context(), []byte("guess")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := l.unlock(ctx, []byte("pw")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(10 * time.Second) // the guess ends
	})
}

// TestReadMessageMemory announces much and sends little.
func TestReadMessageMemory(t *testing.T) {
	header := []byte{0, 4, 0, 0, 1, 2}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readMessage(bytes.NewReader(header)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<10 {
		t.Errorf("6 bytes used %d bytes of memory", used)
	}
}

// TestReadMessageError wants the cause, such as a time-out.
func TestReadMessageError(t *testing.T) {
	cause := errors.New("cause")
	if _, err := readMessage(io.MultiReader(strings.NewReader("\x00\x00\x00\x05ab"), iotest.ErrReader(cause))); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// A failingListener fails once.
type failingListener struct {
	*pipeListener
	failed bool
}

func (l *failingListener) Accept() (net.Conn, error) {
	if !l.failed {
		l.failed = true
		return nil, errors.New("too many open files")
	}
	return l.pipeListener.Accept()
}

// TestServeAcceptsAgain wants the server to go on after a failure of the system.
func TestServeAcceptsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := newServer()
		l := &failingListener{pipeListener: newPipeListener()}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		if got := ask(t, l.dial(), []byte{msgList}); got[0] != msgListAnswer {
			t.Errorf("answered %q", got)
		}
		if !strings.Contains(log.String(), "too many open files") {
			t.Errorf("the failure is not in the log:\n%s", log)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type noListener struct{ net.Listener }

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }

func TestServeClosedListener(t *testing.T) {
	s, _ := newServer()
	if err := s.Serve(t.Context(), noListener{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
