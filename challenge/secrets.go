package challenge

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/redact"
)

const (
	// maxSecrets is how many tokens and signatures a Client remembers in order to
	// remove them from the text of servers.
	maxSecrets = 128

	// maxSecret is how many bytes of each it remembers.
	maxSecret = 8 << 10
)

// secrets are the tokens and signatures that a Client received and sent last. They
// are closures, so that nothing prints them. The zero value is empty.
type secrets struct {
	mu     sync.Mutex
	recent []func() string
	next   int // where the next one goes when recent is full
}

func (s *secrets) add(value string) {
	value = value[:min(len(value), maxSecret)]
	secret := func() string { return value }
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recent) < maxSecrets {
		s.recent = append(s.recent, secret)
		return
	}
	s.recent[s.next] = secret
	s.next = (s.next + 1) % maxSecrets
}

func (s *secrets) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := make([]string, len(s.recent))
	for i, secret := range s.recent {
		values[i] = secret()
	}
	return values
}

// clean makes the text of servers in e fit for a log and a terminal: printable, short
// and without secrets.
func (c *Client) clean(e *Error) *Error {
	secrets := c.secrets.all()
	e.Realm, e.Scope, e.Server = foreignText(e.Realm, secrets), foreignText(e.Scope, secrets), foreignText(e.Server, secrets)
	e.Err = redactError(e.Err, secrets)
	return e
}

// cleanEvent does the same for e.
func (c *Client) cleanEvent(e Event) Event {
	secrets := c.secrets.all()
	e.Realm, e.Service, e.Scope = foreignText(e.Realm, secrets), foreignText(e.Service, secrets), foreignText(e.Scope, secrets)
	return e
}

func foreignText(text string, secrets []string) string {
	return printable.Text(redact.Text(text, secrets))
}

// foreignError does the same for an error of net/http, whose text may quote a server.
func foreignError(err error, secrets []string) error {
	return withText(err, foreignText(err.Error(), secrets))
}

// redactError removes secrets from the text of err.
func redactError(err error, secrets []string) error {
	return withText(err, redact.Text(err.Error(), secrets))
}

// withText returns an error with the causes of err and another text.
func withText(err error, text string) error {
	if text == err.Error() {
		return err
	}
	return &cleanError{
		text: text,
		is:   func(target error) bool { return errors.Is(err, target) },
		as:   func(target any) bool { return errors.As(err, target) },
	}
}

// A cleanError has closures where other errors have a cause, because %+v and %#v
// would print the text of the cause.
type cleanError struct {
	text string
	is   func(error) bool
	as   func(any) bool
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return e.is(target) }
func (e *cleanError) As(target any) bool   { return e.as(target) }

// cleanLocation replaces the Location of a redirect that is no URL, because the error
// of http.Client repeats it. The new text has no secrets and is no URL either.
func cleanLocation(resp *http.Response, secrets func() []string) {
	location := resp.Header.Get("Location")
	if location == "" || resp.StatusCode < 300 || resp.StatusCode >= 400 || isURL(resp, location) {
		return
	}
	location = foreignText(location, secrets())
	if isURL(resp, location) {
		location = ":" + location // an empty scheme
	}
	resp.Header.Set("Location", location)
}

// isURL reports whether location is a URL, or is one relative to that of the request.
func isURL(resp *http.Response, location string) bool {
	_, err := resp.Request.URL.Parse(location)
	return err == nil
}

type secretsKey struct{}

// withSecrets returns req for resp.Request. If resp is an error, the context of the
// result carries secrets for ServerText.
func withSecrets(req *http.Request, resp *http.Response, secrets func() []string) *http.Request {
	if resp.StatusCode < http.StatusBadRequest {
		return req
	}
	return req.WithContext(context.WithValue(req.Context(), secretsKey{}, secrets))
}

// secretsOf returns the secrets that a request carried to its server: its fields,
// and those that a Transport or a RequestSigner added.
func secretsOf(req *http.Request) []string {
	if req == nil {
		return nil
	}
	var all []string
	if added, ok := req.Context().Value(secretsKey{}).(func() []string); ok {
		all = added()
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, value := range req.Header[name] {
			all = append(all, partsOf(value)...)
		}
	}
	return all
}

// partsOf returns the value of an Authorization field, its credentials without the
// scheme and, of Basic, the password.
func partsOf(authorization string) []string {
	parts := []string{authorization}
	scheme, credentials, ok := strings.Cut(authorization, " ")
	if !ok {
		return parts
	}
	parts = append(parts, credentials)
	if strings.EqualFold(scheme, "Basic") {
		if pair, err := base64.StdEncoding.DecodeString(credentials); err == nil {
			_, password, _ := strings.Cut(string(pair), ":")
			parts = append(parts, password)
		}
	}
	return parts
}
