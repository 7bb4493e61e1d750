package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/httpclient"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/retryafter"
	"github.com/countersign/countersign/signer"
)

// ErrNotConnected: the server knows no account for the key, or not yet.
var ErrNotConnected = errors.New("the key is not connected to an account")

const (
	maxUser = 64 << 10 // the limit for the description of a user, in bytes

	// answerTime is how long a server may take to begin its answer, and then to end it.
	answerTime = 30 * time.Second
)

// An Account is the account of a key at a server.
type Account struct {
	Name        string // of the user
	Email       string // "" if the server does not tell
	Plan        string // such as "pro"; "" if the server does not tell
	Fingerprint string // of the key
}

// Account asks the server for the account of key.
//
// Errors: ErrNotConnected; challenge.ErrReply if the reply is not that of Ollama's API;
// challenge.ErrRealm if Server has plain http and is not this machine; those of key and of
// the connection.
//
// Source: Ollama's api/client.go, Whoami, and server/routes.go, WhoamiHandler: a reply
// without a name is a refusal, too.
func (c *Client) Account(ctx context.Context, key signer.Signer) (Account, error) {
	account, err := c.account(ctx, key)
	c.rememberAccount(key, account, err)
	return account, err
}

func (c *Client) account(ctx context.Context, key signer.Signer) (Account, error) {
	var reply struct{ Name, Email, Plan string }
	if err := c.request(ctx, key, http.MethodPost, c.Server.URL().JoinPath("api/me").String(), &reply); err != nil {
		return Account{}, err
	}
	if reply.Name == "" {
		return Account{}, &replyError{err: ErrNotConnected, temporary: true}
	}
	return Account{reply.Name, reply.Email, reply.Plan, ssh.FingerprintSHA256(key.PublicKey())}, nil
}

// SignOut removes key from its account, as Ollama's client does. It does not delete the
// key from its store: [Client.Wait] can connect it again.
//
// Errors: those of Account; ErrNotConnected if key was not connected.
func (c *Client) SignOut(ctx context.Context, key signer.Signer) error {
	target, err := challenge.SignOutURL(c.Server.String(), key.PublicKey())
	if err != nil {
		return err
	}
	err = c.request(ctx, key, http.MethodDelete, target, nil)
	c.rememberAccount(key, Account{}, err)
	return err
}

// request sends a signed request and decodes the reply, unless reply is nil.
func (c *Client) request(ctx context.Context, key signer.Signer, method, target string, reply any) error {
	if err := c.config().Policy().CheckPlain(c.Server); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.withPrompt(ctx))
	defer cancel()
	req, err := httpclient.NewRequest(ctx, method, target)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.signing(key).Do(req)
	if err != nil {
		return &replyError{err: err, temporary: !errors.As(err, new(*signer.Error))}
	}
	defer resp.Body.Close()
	// Not before: a person may have had to unlock the key.
	defer time.AfterFunc(answerTime, cancel).Stop()
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return &replyError{err: notConnected(challenge.ServerText(resp)), temporary: true}
	case code == http.StatusTooManyRequests, code >= 500:
		return &replyError{httpclient.StatusError(resp), true, retryafter.Delay(resp.Header, time.Now())}
	case code < 200 || code >= 300:
		return httpclient.StatusError(resp)
	case reply == nil:
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxUser))
	if err != nil {
		return &replyError{err: fmt.Errorf("%s: %w: it broke off: %w", httpclient.Answer(resp), challenge.ErrReply, err), temporary: true}
	}
	if err := json.Unmarshal(body, reply); err != nil {
		return fmt.Errorf("%s: %w: not the JSON that Ollama's API has", httpclient.Answer(resp), challenge.ErrReply)
	}
	return nil
}

// signing returns a client that signs requests to Server, and no others.
func (c *Client) signing(key signer.Signer) *http.Client {
	base := c.Base
	if base == nil {
		t := httpclient.NewTransport()
		t.ResponseHeaderTimeout = answerTime
		base = c.config().Transport(t)
	}
	return httpclient.New(&challenge.RequestSigner{
		Key:     challenge.StaticKey(key),
		Origins: []challenge.Origin{c.Server},
		Base:    base,
	})
}

func notConnected(text string) error {
	if text == "" {
		return ErrNotConnected
	}
	return fmt.Errorf("%w: the server says %s", ErrNotConnected, printable.Quote(text))
}

// A replyError is an error of one request. If temporary, the next request may succeed.
type replyError struct {
	err       error
	temporary bool
	after     time.Duration // that the server wants the client to wait; 0 if it does not tell
}

func (e *replyError) Error() string { return e.err.Error() }

func (e *replyError) Unwrap() error { return e.err }
