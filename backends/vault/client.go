package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/redact"
	"github.com/countersign/countersign/signer"
)

const (
	// requestTimeout bounds each request, so that a server that hangs does not
	// delay a caller without a deadline for ever.
	requestTimeout = 10 * time.Second

	// maxReply bounds the bytes of a reply. A list of keys is the longest.
	maxReply = 4 << 20
)

// A client sends requests to one server. It is safe for concurrent use.
type client struct {
	base      *url.URL
	namespace string
	mount     string
	source    source
	now       func() time.Time

	// Functions hide the http.Client from code that prints a Backend or a Signer: its
	// goroutines change it at any time, and its buffers hold tokens.
	do                   func(*http.Request) (*http.Response, error)
	closeIdleConnections func()

	generating turn
	tokens     turn   // guards token
	token      *token // nil before the first login
}

func (b *Backend) newClient() (*client, error) {
	base, err := parseAddress(cmp.Or(b.Address, variable("ADDR")))
	if err != nil {
		return nil, err
	}
	source, err := b.source()
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(base, cmp.Or(b.CAFile, variable("CACERT")))
	if err != nil {
		return nil, err
	}
	clock := b.clock
	if clock == nil {
		clock = func() time.Time { return time.Now().Round(0) } // the wall clock goes on while the machine sleeps
	}
	httpClient := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &client{
		base:      base,
		namespace: cmp.Or(b.Namespace, variable("NAMESPACE")),
		mount:     strings.Trim(cmp.Or(b.Mount, "transit"), "/"),
		source:    source,
		now:       clock,

		do:                   httpClient.Do,
		closeIdleConnections: httpClient.CloseIdleConnections,

		generating: newTurn(),
		tokens:     newTurn(),
	}, nil
}

// A turn is a mutex that a caller waits for no longer than its context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// call sends a request with the token and decodes the reply, which may be nil. If
// the server refuses the token, call gets another token and tries once more.
func (c *client) call(ctx context.Context, method, path string, body, reply any) error {
	t, err := c.tokenFor(ctx, nil)
	if err != nil {
		return err
	}
	r, err := c.send(ctx, t, method, path, body)
	if err != nil {
		return err
	}
	if r.status == http.StatusForbidden {
		next, err := c.tokenFor(ctx, t)
		if err != nil {
			return err
		}
		if next.secret() != t.secret() {
			if r, err = c.send(ctx, next, method, path, body); err != nil {
				return err
			}
		}
	}
	return c.decode(ctx, r, reply)
}

// A response is the reply of a server, read whole.
type response struct {
	status  int
	body    []byte
	secrets []string // the server may repeat them in its text
	to      string   // the origin of a redirect
}

// send makes one request. t is nil for requests without a token.
func (c *client) send(ctx context.Context, t *token, method, path string, body any, secrets ...string) (*response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errSilent)
	defer cancel()
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath("v1", path).String(), content)
	if err != nil {
		return nil, err
	}
	if method == "LIST" { // proxies may not know this method
		req.Method, req.URL.RawQuery = http.MethodGet, "list=true"
	}
	req.Header.Set("User-Agent", "countersign")
	req.Header.Set("X-Vault-Request", "true") // a Vault Agent may require it
	if c.namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.namespace)
	}
	if t != nil {
		req.Header["Idempotency-Key"] = nil // net/http may send the request again if a kept connection was closed; it does not send this field
		req.Header.Set("X-Vault-Token", t.secret())
		secrets = append(secrets, t.secret())
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err, secrets)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return nil, c.unreachable(ctx, err, secrets)
	}
	if len(data) > maxReply {
		return nil, fmt.Errorf("%s sent a reply of more than %d bytes", c, maxReply)
	}
	r := &response{status: resp.StatusCode, body: data, secrets: secrets}
	if to, err := resp.Location(); err == nil {
		r.to = to.Scheme + "://" + to.Host
	}
	return r, nil
}

// String names the server in errors.
func (c *client) String() string {
	return "the Vault server " + printable.Text(c.base.Scheme+"://"+c.base.Host)
}

// errSilent is the cause of a request that took too long.
var errSilent = fmt.Errorf("it took longer than %v: %w", requestTimeout, context.DeadlineExceeded)

// unreachable describes an error of net/http, whose text may quote the server, which may
// repeat the secrets of the request.
func (c *client) unreachable(ctx context.Context, err error, secrets []string) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the method and the path
	}
	switch ended := ctx.Err(); {
	case context.Cause(ctx) == errSilent:
		err = errSilent
	case ended != nil && !errors.Is(err, ended): // net/http may return the cause of the caller's context
		err = fmt.Errorf("%w: %w", ended, err)
	}
	var hint signer.Hint
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		hint.Do = "name the file with the certificate of its authority: ca_file in the section [vault] of the configuration, or VAULT_CACERT"
	case errors.Is(err, http.ErrSchemeMismatch):
		hint.Do = "the server speaks plain http, which is only for a server on this machine: correct the address"
	case !errors.Is(err, context.Canceled):
		hint.Do = "check that the server runs, and its address: address in the section [vault] of the configuration, or VAULT_ADDR"
	}
	text := fmt.Sprintf("no answer from %s: %s", c, printable.Text(redact.Text(err.Error(), secrets)))
	return signer.WithHint(&unreachableError{text, err}, hint)
}

// An unreachableError is the error of a server that may have the key.
type unreachableError struct {
	text string
	err  error
}

func (e *unreachableError) Error() string { return e.text }
func (e *unreachableError) Unwrap() error { return e.err }

// decode turns a reply into reply, or into an error that tells the server's reason.
func (c *client) decode(ctx context.Context, r *response, reply any) error {
	if r.status < 200 || r.status > 299 {
		return c.refusal(ctx, r)
	}
	if reply == nil || r.status == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(r.body, reply); err != nil {
		return fmt.Errorf("%s sent a reply that is not in the form of Vault's API", c)
	}
	return nil
}

// refusal returns the error of a reply whose status is not a success. The server
// answers 500 for mistakes of the caller, so the text counts more than the status.
func (c *client) refusal(ctx context.Context, r *response) error {
	err := error(&refusedError{fmt.Sprintf("%s answered %d %s%s", c, r.status, http.StatusText(r.status), r.reason()), r.status, r.isAbsence()})
	switch {
	case r.status == http.StatusForbidden:
		err = fmt.Errorf("%w: %w", signer.ErrDenied, err)
		return signer.WithHint(err, signer.Hint{Do: "check the token and its policies: vault token lookup, vault token capabilities " + c.mount + "/keys/KEY"})
	case r.status == http.StatusServiceUnavailable && c.isSealed(ctx):
		err = fmt.Errorf("%w: %w", signer.ErrLocked, err)
		return signer.WithHint(err, signer.Hint{Do: "ask an operator to unseal the server: vault operator unseal"})
	case r.to != "":
		return signer.WithHint(fmt.Errorf("%w, a redirect to %s, and the token is not sent to another address", err, printable.Text(r.to)),
			signer.Hint{Do: "if that is the right server, make it the address: address in the section [vault] of the configuration, or VAULT_ADDR"})
	case r.status == http.StatusNotFound && !r.isAbsence():
		return signer.WithHint(err, signer.Hint{Do: "check the address, the mount and the namespace in the section [vault] of the configuration; vault secrets enable transit adds the engine"})
	}
	return err
}

// A refusedError is a reply whose status is not a success.
type refusedError struct {
	text   string
	status int
	absent bool // the engine has nothing at this path
}

func (e *refusedError) Error() string { return e.text }

// reason returns the texts of the server, if there are any.
func (r *response) reason() string {
	var reply struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(r.body, &reply) != nil || len(reply.Errors) == 0 {
		return ""
	}
	text := redact.Text(strings.Join(reply.Errors, "; "), r.secrets)
	return ": " + printable.Text(strings.Join(strings.Fields(text), " "))
}

// isAbsence reports whether an engine answered that it has nothing at a path. The
// list of errors is there and empty. A server without the engine has a text in the
// list, and other servers send another body.
func (r *response) isAbsence() bool {
	var reply struct {
		Errors *[]string `json:"errors"`
	}
	return r.status == http.StatusNotFound && json.Unmarshal(r.body, &reply) == nil && reply.Errors != nil && len(*reply.Errors) == 0
}

func isAbsence(err error) bool {
	e, ok := errors.AsType[*refusedError](err)
	return ok && e.absent
}

// isSealed asks the server. A server that is overloaded, and a proxy, answer 503 too.
func (c *client) isSealed(ctx context.Context) bool {
	root := *c
	root.namespace = "" // the path is in no namespace
	r, err := root.send(ctx, nil, http.MethodGet, "sys/seal-status", nil)
	var status struct {
		Sealed bool `json:"sealed"`
	}
	return err == nil && r.status == http.StatusOK && json.Unmarshal(r.body, &status) == nil && status.Sealed
}
