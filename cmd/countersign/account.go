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
	"github.com/countersign/countersign/signer"
)

// errNotAccepted: the server does not know the key, or not yet.
var errNotAccepted = errors.New("the key is not connected to an account")

const (
	maxUser    = 64 << 10         // bytes of what a server says about a user
	maxHeader  = 64 << 10         // bytes of what it says before that
	answerTime = 30 * time.Second // that a server has to begin its answer, and then to end it
)

// An account is what a key may be connected to at a server.
type account struct {
	server *url.URL
	client *http.Client // signs what goes to server, and nothing else
}

func newAccount(server challenge.Origin, key signer.Signer) account {
	base := &http.Transport{ // without DialContext, so that http://localhost stays on this machine
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    answerTime,
		ResponseHeaderTimeout:  answerTime,
		MaxResponseHeaderBytes: maxHeader,
	}
	return account{server.URL(), &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &challenge.RequestSigner{
			Key:     challenge.StaticKey(key),
			Origins: []challenge.Origin{server},
			Base:    base,
		},
	}}
}

// user asks for the name of the key's user, as Ollama's client does. After an
// error that is temporary the next request may be answered.
//
// Source: Ollama's api/client.go, Whoami, and server/routes.go, WhoamiHandler: a
// reply without a name is a refusal, too.
func (acc account) user(ctx context.Context) (name string, temporary bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, acc.server.JoinPath("/api/me").String(), nil)
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "countersign")
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
		return "", false, fmt.Errorf("%s: %w: not the JSON that Ollama's API has", answered(resp), challenge.ErrReply)
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
	return fmt.Errorf("%w: the server says %s", errNotAccepted, quote(text))
}
