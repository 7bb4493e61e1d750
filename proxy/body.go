package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/countersign/countersign/challenge"
)

// maxReplay is the size of the largest body that is kept in memory, in bytes, so that it
// can be sent again after a challenge. It holds an image manifest of usual size.
const maxReplay = 256 << 10

// prepareBody makes it possible to answer a challenge to req, which may come after the
// body was sent. A short body is kept. A long one is sent after the server has agreed to
// read it. Some servers agree before they look at the token; so before a long upload to a
// registry, Client learns the challenge from a request without a body, and the upload has
// its token from the start.
func (p *Proxy) prepareBody(req *http.Request, path string) error {
	switch {
	case req.Body == nil || req.Body == http.NoBody || p.Sign && isAPI(path):
		return nil
	case 0 <= req.ContentLength && req.ContentLength <= maxReplay:
		return keepBody(req)
	}
	req.Header.Set("Expect", "100-continue")
	body := &unreadBody{Reader: req.Body}
	req.Body, req.GetBody = body, body.again
	return p.learnChallenge(req, path)
}

func keepBody(req *http.Request) error {
	data, err := io.ReadAll(req.Body)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	req.Body, err = req.GetBody()
	return err
}

// learnChallenge asks for a manifest of the repository that req changes. A
// challenge.Client expects the same challenge for other requests to the repository.
func (p *Proxy) learnChallenge(req *http.Request, path string) error {
	name, ok := repositoryOf(path)
	if !ok {
		return nil
	}
	if p.primed.has(name) {
		return nil
	}
	u := *p.Upstream
	probe, err := http.NewRequestWithContext(req.Context(), http.MethodHead, u.JoinPath("v2", name, "manifests", "latest").String(), nil)
	if err != nil {
		return err
	}
	probe.Header.Set("User-Agent", req.Header.Get("User-Agent"))
	resp, err := p.answers.RoundTrip(probe)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if !p.primed.add(name) { // they can be learned again
		p.primed.clear()
	}
	return nil
}

// repositoryOf returns the repository of a path below /v2/ that takes uploads: see the
// end points of the OCI distribution specification.
func repositoryOf(path string) (string, bool) {
	path = strings.TrimPrefix(path, "/v2/")
	for _, part := range []string{"/blobs/uploads/", "/manifests/"} {
		if i := strings.LastIndex(path, part); i > 0 {
			return path[:i], true
		}
	}
	return "", false
}

// pathOf returns the path of a request to the server without the path of Upstream.
func (p *Proxy) pathOf(u *url.URL) string {
	return "/" + strings.TrimPrefix(strings.TrimPrefix(u.Path, p.Upstream.Path), "/")
}

// A clientBody ends its request if the client's body is malformed or ends early.
type clientBody struct {
	io.ReadCloser
	end context.CancelCauseFunc
}

func (b *clientBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if err != nil && err != io.EOF {
		b.end(&refusal{http.StatusBadRequest, "the body of the request cannot be read: " + err.Error()})
	}
	return n, err
}

// An unreadBody is the body of a request that waits for the server's agreement
// (RFC 9110, section 10.1.1). It can be sent again as long as nothing was read.
type unreadBody struct {
	io.Reader
	read atomic.Bool
}

func (b *unreadBody) Read(buf []byte) (int, error) {
	b.read.Store(true)
	return b.Reader.Read(buf)
}

// Close does nothing: net/http closes the body when the server refuses it, and the next
// request needs it. The server of the proxy closes the connection's body.
func (b *unreadBody) Close() error { return nil }

func (b *unreadBody) again() (io.ReadCloser, error) {
	if b.read.Load() {
		return nil, errors.New("a part of it was sent")
	}
	return b, nil
}

// forget makes the next long upload learn the challenge anew.
func (p *Proxy) forget(err error, path string) {
	if name, ok := repositoryOf(path); ok && errors.Is(err, challenge.ErrBody) {
		p.primed.remove(name)
	}
}
