package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// TestKeyFailures wants the reason in the form that the client shows.
func TestKeyFailures(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{signer.WithHint(fmt.Errorf("%w: keychain login", signer.ErrLocked), signer.Hint{Do: "unlock the keychain"}), 503},
		{signer.ErrNotFound, 503},
		{signer.ErrUnavailable, 503},
		{signer.ErrDenied, 403},
		{errors.New("broken"), 503},
	} {
		r, p := startRegistry(t, challengetest.Config{})
		r.AddImage("library/demo", "latest", []byte("a layer"))
		opened := 0
		p.Sign = true
		p.Client = &challenge.Client{Key: func(context.Context, challenge.Origin) (signer.Signer, error) {
			opened++
			return nil, c.err
		}}
		f := start(t, p)
		f.want("GET", "/v2/library/demo/tags/none;", nil, nil, 400, "")
		if opened != 0 {
			t.Error("the key was opened before a request needed it")
		}
		text := c.err.Error()
		if hint, ok := signer.HintOf(c.err); ok {
			text += ": " + hint.Do
		}
		f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, c.status, `{"errors":[{"code":"`)
		f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, c.status, text)
		f.want("POST", "/api/me", nil, nil, c.status, `{"error":"`)
	}
}

func TestRejectedKey(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{Grant: func(ssh.PublicKey, string) bool { return false }})
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 403, `"code":"DENIED"`)
	resp := f.want("HEAD", "/v2/library/demo/manifests/latest", nil, nil, 403, "")
	if got := resp.Header.Get("Warning"); !strings.HasPrefix(got, `299 - "`) || !strings.Contains(got, "rejected by the server") {
		t.Errorf("HEAD has no body, and the warning is %q", got)
	}
	if got := f.log.String(); strings.Count(got, "level=WARN msg=failed") != 2 || !strings.Contains(got, "rejected by the server") {
		t.Errorf("the log does not tell the failures: %s", got)
	}
}

// TestSignFailures has a key that opens, and then cannot sign.
func TestSignFailures(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("%w: keychain login", signer.ErrLocked), 503},
		{context.DeadlineExceeded, 503}, // nobody unlocked it
		{errors.New("broken"), 503},
		{signer.ErrDenied, 403},
	} {
		r, p := startRegistry(t, challengetest.Config{})
		r.AddImage("library/demo", "latest", []byte("a layer"))
		p.Sign = true
		p.Client = &challenge.Client{Key: challenge.StaticKey(failingKey{newKey(), c.err})}
		f := start(t, p)
		f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, c.status, c.err.Error())
		f.want("POST", "/api/me", nil, nil, c.status, c.err.Error())
		if got := f.log.String(); strings.Contains(got, "msg=signed") || strings.Count(got, "level=WARN") != 2 {
			t.Errorf("%v: want two failures and no signature in the log: %s", c.err, got)
		}
	}
}

type failingKey struct {
	signer.Signer
	err error
}

func (k failingKey) Sign(context.Context, []byte) (*ssh.Signature, error) { return nil, k.err }

// TestRefusedSignatureIsLogged wants a line for each signature, also if the server refuses
// it.
func TestRefusedSignatureIsLogged(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{Grant: func(ssh.PublicKey, string) bool { return false }})
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, func(req *http.Request) { req.Header.Set("User-Agent", "demo/1") }, 403, "")
	lines := strings.Split(f.log.String(), "\n")
	want := regexp.MustCompile(`msg=signed purpose=ollama.registry scope=repository:library/demo:pull key=SHA256:.* error=.* client="(user [0-9]+, )?127.0.0.1:[0-9]+, demo/1"$`)
	if !want.MatchString(lines[0]) {
		t.Errorf("the first line of the log is %s, want %s", lines[0], want)
	}
}

// TestUpstreamFailures wants a status that tells whether it is the server or the way to it.
func TestUpstreamFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reset := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer reset.Close()
	nonsense := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n")
		conn.Close()
	}))
	defer nonsense.Close()
	for _, c := range []struct {
		name, url string
		base      http.RoundTripper
		status    int
	}{
		{"silent", "http://" + l.Addr().String(), &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}, 504},
		{"silent in the handshake", "https://" + l.Addr().String(), &http.Transport{TLSHandshakeTimeout: 50 * time.Millisecond}, 504},
		{"ends", reset.URL, nil, 502},
		{"no HTTP", nonsense.URL, nil, 502},
		{"no such host", "https://registry.invalid", noNames{}, 502},
	} {
		p := proxyTo(t, c.url)
		p.Client.Base = c.base
		f := start(t, p)
		f.want("GET", "/v2/a/manifests/latest", nil, nil, c.status, `"code":"UNAVAILABLE"`)
		if got := f.log.String(); !strings.Contains(got, "msg=failed method=GET path=/v2/a/manifests/latest") {
			t.Errorf("%s: the log does not tell the failure: %s", c.name, got)
		}
	}
}

// noNames answers as a transport without a name server does.
type noNames struct{}

func (noNames) RoundTrip(req *http.Request) (*http.Response, error) {
	return nil, &net.DNSError{Err: "no such host", Name: req.URL.Host, IsNotFound: true}
}

func TestUpstreamGone(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	r.Close()
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 502, "connection refused")
}
