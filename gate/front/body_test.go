package front_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/front"
)

// A oneListener has one connection.
type oneListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneListener) Close() error   { close(l.done); return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// loopback is a connection from 127.0.0.1.
type loopback struct{ net.Conn }

func (loopback) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// send sends the header of a request whose body of four bytes comes a minute later,
// and returns the reply and the time until it came.
func send(t *testing.T, h http.HandlerFunc) (*http.Response, time.Duration) {
	t.Helper()
	client, server := net.Pipe()
	l := &oneListener{make(chan net.Conn, 1), make(chan struct{})}
	l.conns <- loopback{server}
	s := &http.Server{Handler: &front.Handler{Sites: map[challenge.Origin]http.Handler{origin(t, "http://reg.example"): h}}}
	go s.Serve(l)
	defer s.Close()
	start := time.Now()
	if _, err := io.WriteString(client, "POST /api/chat HTTP/1.1\r\nHost: reg.example\r\nContent-Length: 4\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		time.Sleep(time.Minute)
		io.WriteString(client, "body") // the server may have closed the connection
		close(sent)
	}()
	res, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	after := time.Since(start)
	client.Close()
	<-sent
	return res, after
}

func TestBodyOfARefusedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, after := send(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		if res.StatusCode != http.StatusUnauthorized || after > 30*time.Second {
			t.Errorf("%s after %v", res.Status, after)
		}
	})
}

func TestBodyOfAnAdmittedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, after := send(t, func(w http.ResponseWriter, r *http.Request) {
			front.AdmitBody(w)
			if body, err := io.ReadAll(r.Body); err != nil || !strings.HasPrefix(string(body), "body") {
				w.WriteHeader(http.StatusBadRequest)
			}
		})
		if res.StatusCode != http.StatusOK || after < time.Minute {
			t.Errorf("%s after %v", res.Status, after)
		}
	})
}
