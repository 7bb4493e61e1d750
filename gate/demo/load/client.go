package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/demo/internal/stage"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/signer"
)

// An identity is a key of an owner, with the secrets that it signed.
type identity struct {
	name   string
	key    signer.Signer
	secret string // for the helper of a client that cannot sign
	kept   string // a token, got before the last changes of the signing key
	blob   string // an address of a blob on the second host name
}

// A kind of request. The error tells why it was not granted, or not answered rightly.
type kind struct {
	name string
	send func(ctx context.Context, l *load, i *identity) error
}

// kinds are the requests of each honest client. None may be granted to a key that was
// removed.
var kinds = []kind{
	{"token for a signature", func(ctx context.Context, l *load, i *identity) error {
		_, err := l.token(ctx, i, modelScope(i))
		return err
	}},
	{"token for a helper secret", func(ctx context.Context, l *load, i *identity) error {
		_, err := l.refresh(ctx, i)
		return err
	}},
	{"pull with a new token", func(ctx context.Context, l *load, i *identity) error {
		raw, err := l.token(ctx, i, modelScope(i))
		if err != nil {
			return err
		}
		return l.pull(ctx, i, raw)
	}},
	{"pull with a kept token", func(ctx context.Context, l *load, i *identity) error { return l.pull(ctx, i, i.kept) }},
	{"blob at a kept address", func(ctx context.Context, l *load, i *identity) error {
		return l.want(ctx, l.kept, i.blob, "", string(model(i)))
	}},
	{"signed request to the API", func(ctx context.Context, l *load, i *identity) error {
		return l.call(ctx, l.kept, i, http.MethodGet, "/api/tags", tags)
	}},
	{"signed request, new connection", func(ctx context.Context, l *load, i *identity) error {
		return l.call(ctx, l.fresh, i, http.MethodGet, "/api/tags", tags)
	}},
	{"streamed chat", func(ctx context.Context, l *load, i *identity) error {
		return l.call(ctx, l.kept, i, http.MethodPost, "/api/chat", chat)
	}},
}

func modelScope(i *identity) string { return "repository:users/" + i.name + "/model:pull" }

// model is the content of the blob of an owner's model.
func model(i *identity) []byte { return []byte("the model of " + i.name) }

// complete gets the secrets of a new identity, whose key is enrolled.
func (l *load) complete(ctx context.Context, i *identity) error {
	s := l.stage.Config.Sites[0]
	var err error
	i.secret, err = challenge.HelperSecret{
		Origin: s.Origin, Service: s.Service(), Actions: []string{"pull"}, Expires: time.Now().Add(challenge.HelperSecretLifetime),
	}.Sign(ctx, i.key)
	if err != nil {
		return err
	}
	if i.kept, err = l.token(ctx, i, modelScope(i)); err != nil {
		return err
	}
	i.blob, err = l.redirect(ctx, i, i.kept)
	return err
}

// signed returns a signed token request.
func (l *load) signed(ctx context.Context, i *identity, scope string) (*http.Request, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	query := url.Values{
		"service": {l.stage.Config.Sites[0].Service()}, "scope": {scope},
		"nonce": {base64.RawURLEncoding.EncodeToString(nonce)}, "ts": {strconv.FormatInt(time.Now().Unix(), 10)},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.stage.Origin+site.TokenPath+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	authorization, err := challenge.Sign(ctx, i.key, challenge.TokenText(req.URL.String()))
	req.Header.Set("Authorization", authorization)
	return req, err
}

// token gets a token for a signature.
func (l *load) token(ctx context.Context, i *identity, scope string) (string, error) {
	req, err := l.signed(ctx, i, scope)
	if err != nil {
		return "", err
	}
	return l.readToken(req)
}

// refresh gets a token for a helper secret.
func (l *load) refresh(ctx context.Context, i *identity) (string, error) {
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {i.secret},
		"service": {l.stage.Config.Sites[0].Service()}, "scope": {modelScope(i)},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.stage.Origin+site.TokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return l.readToken(req)
}

func (l *load) readToken(req *http.Request) (string, error) {
	body, err := read(l.kept, req)
	if err != nil {
		return "", err
	}
	var reply struct{ Token string }
	if err := json.Unmarshal(body, &reply); err != nil {
		return "", err
	}
	if reply.Token == "" {
		return "", errors.New("the reply has no token")
	}
	return reply.Token, nil
}

// pull fetches a manifest and its blob, which is at the second host name.
func (l *load) pull(ctx context.Context, i *identity, token string) error {
	base := l.stage.Origin + "/v2/users/" + i.name + "/model"
	blob := stage.Digest(model(i))
	if err := l.want(ctx, l.kept, base+"/manifests/v1", token, blob); err != nil {
		return err
	}
	return l.want(ctx, l.kept, base+"/blobs/"+blob, token, string(model(i)))
}

// redirect returns the address of an owner's blob on the second host name.
func (l *load) redirect(ctx context.Context, i *identity, token string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.stage.Origin+"/v2/users/"+i.name+"/model/blobs/"+stage.Digest(model(i)), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := l.kept.Transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusTemporaryRedirect {
		return "", fmt.Errorf("GET %s: %s, want a redirect", req.URL.Path, res.Status)
	}
	return res.Header.Get("Location"), nil
}

// want fetches an address and wants a text in the reply.
func (l *load) want(ctx context.Context, c *http.Client, address, token, text string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", stage.ManifestType+", */*")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return readText(c, req, text)
}

// call sends a signed request to the Ollama server and wants a text in the reply.
func (l *load) call(ctx context.Context, c *http.Client, i *identity, method, path, text string) error {
	req, err := http.NewRequestWithContext(ctx, method, l.stage.Origin+path, nil)
	if err != nil {
		return err
	}
	if err := challenge.SignRequest(ctx, i.key, req); err != nil {
		return err
	}
	return readText(c, req, text)
}

func readText(c *http.Client, req *http.Request, text string) error {
	body, err := read(c, req)
	if err == nil && !strings.Contains(string(body), text) {
		return fmt.Errorf("%s %s: the reply lacks %q", req.Method, req.URL.Path, text)
	}
	return err
}

// read sends a request and returns the whole reply. Another status than 200 is an error.
func read(c *http.Client, req *http.Request) ([]byte, error) {
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, &statusError{req.Method + " " + req.URL.Path, res.StatusCode, string(body)}
	}
	return body, nil
}

// A statusError is a reply with another status than 200.
type statusError struct {
	request string
	status  int
	body    string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: %d %s", e.request, e.status, e.body) }

// isRefusal reports whether the gate refused a request.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && (e.status == http.StatusUnauthorized || e.status == http.StatusForbidden)
}
