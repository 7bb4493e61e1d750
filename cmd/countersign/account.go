package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/httpclient"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// errNotAccepted is the error for a key that the server does not know, or not yet.
var errNotAccepted = errors.New("the key is not connected to an account")

const (
	maxUser = 64 << 10 // the limit for the description of a user, in bytes

	// answerTime is how long a server may take to begin its answer, and then to end
	// it.
	answerTime = 30 * time.Second
)

// An account is the account of a key at a server.
type account struct {
	server *url.URL
	client *http.Client // signs requests to server, and no others
}

func newAccount(server challenge.Origin, key signer.Signer) account {
	base := httpclient.NewTransport()
	base.ResponseHeaderTimeout = answerTime
	return account{server.URL(), httpclient.New(&challenge.RequestSigner{
		Key:     challenge.StaticKey(key),
		Origins: []challenge.Origin{server},
		Base:    base,
	})}
}

// user asks for the name of the key's user, as Ollama's client does. After an
// error that is temporary the next request may be answered.
//
// Source: Ollama's api/client.go, Whoami, and server/routes.go, WhoamiHandler: a
// reply without a name is a refusal, too.
func (acc account) user(ctx context.Context) (name string, temporary bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := httpclient.NewRequest(ctx, http.MethodPost, acc.server.JoinPath("/api/me").String())
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := acc.client.Do(req)
	if err != nil {
		return "", !errors.As(err, new(*signer.Error)), err
	}
	defer resp.Body.Close()
	// Not before: somebody may have had to unlock the key.
	defer time.AfterFunc(answerTime, cancel).Stop()
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return "", true, refused(challenge.ServerText(resp))
	case code != http.StatusOK:
		return "", code == http.StatusTooManyRequests || code >= 500, statusError(resp)
	}
	var user struct{ Name string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxUser)).Decode(&user); err != nil {
		return "", false, fmt.Errorf("%s: %w: not the JSON that Ollama's API has", httpclient.Answer(resp), challenge.ErrReply)
	}
	if user.Name == "" {
		return "", true, errNotAccepted
	}
	return user.Name, false, nil
}

func refused(text string) error {
	if text == "" {
		return errNotAccepted
	}
	return fmt.Errorf("%w: the server says %s", errNotAccepted, printable.Quote(text))
}
