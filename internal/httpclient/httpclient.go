// Package httpclient makes the requests that are not part of an exchange: it
// follows no redirect, limits the header of a response, and tells how a server
// answered.
package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/download"
	"github.com/countersign/countersign/internal/printable"
)

const (
	maxHeader        = 64 << 10 // the limit for the header of a response, in bytes
	handshakeTimeout = 30 * time.Second
	idleTimeout      = 90 * time.Second // for a connection that is not used
	continueTimeout  = time.Second      // for a server's agreement to read a body, as in http.DefaultTransport
	maxIdle          = 64               // connections to one server: a proxy has many requests at once
)

// New returns a client that follows no redirect. base is nil for [NewTransport].
func New(base http.RoundTripper) *http.Client {
	if base == nil {
		base = NewTransport()
	}
	return &http.Client{
		Transport:     base,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewTransport returns a transport with a limit for the header of a response. It has
// no DialContext, so that package challenge can keep http://localhost on this
// machine.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    handshakeTimeout,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxIdleConnsPerHost:    maxIdle,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// NewRequest returns a request without a body.
func NewRequest(ctx context.Context, method, url string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "countersign")
	return req, nil
}

// Answer tells the URL of a response and its status. It leaves out the server's own
// text for the status, which may be any text, and the query of a redirect, which may
// be a secret.
func Answer(resp *http.Response) string {
	return fmt.Sprintf("%s answered %d %s", printable.Text(download.URLOf(resp)), resp.StatusCode, http.StatusText(resp.StatusCode))
}

// Authenticate shows the field of a response that holds its challenges.
func Authenticate(resp *http.Response) string {
	values := resp.Header.Values("WWW-Authenticate")
	if len(values) == 0 {
		return "there is no field WWW-Authenticate"
	}
	return "WWW-Authenticate is " + printable.Quote(strings.Join(values, ", "))
}

// StatusError returns the error for a reply without the content: the status and the
// server's message.
func StatusError(resp *http.Response) error {
	err := errors.New(Answer(resp))
	if text := challenge.ServerText(resp); text != "" {
		err = fmt.Errorf("%w: %s", err, printable.Quote(text))
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return fmt.Errorf("%w: %w", challenge.ErrRejected, err)
	}
	return err
}
