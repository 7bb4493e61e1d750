package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/demo/internal/stage"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

const grants = `
[[grant]]
names = ["*"]
repositories = ["users/${name}/*"]
actions = ["pull", "push"]

[[grant]]
names = ["alice"]
endpoints = ["read", "chat"]

[[grant]]
anonymous = true
repositories = ["users/alice/public"]
actions = ["pull"]
`

// A play has the keys of the clients.
type play struct {
	*stage.Stage
	alice, stranger signer.Signer
}

// newPlay enrols the key of alice.
func newPlay(s *stage.Stage) (*play, error) {
	alice, err := stage.NewKey()
	stranger, err2 := stage.NewKey()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	err = authkeys.Append(filepath.Join(s.Folder, setup.AuthorizedFile), alice.PublicKey(), "alice")
	s.Gate.Reload()
	return &play{s, alice, stranger}, err
}

// run lets the clients ask. Refusals are a part of the demonstration, so only a failure
// of something that must be granted is an error.
func (p *play) run(ctx context.Context) error {
	alice, stranger := p.client(p.alice), p.client(p.stranger)
	blob := []byte("{}")
	if err := p.Push(ctx, alice, "users/alice/model", blob); err != nil {
		return err
	}
	if err := p.Push(ctx, alice, "users/alice/public", blob); err != nil {
		return err
	}
	if err := p.get(ctx, alice, "/v2/users/alice/model/manifests/v1"); err != nil {
		return err
	}
	if err := p.get(ctx, alice, "/v2/users/alice/model/blobs/"+stage.Digest(blob)); err != nil {
		return err
	}
	if err := p.anonymous(ctx, "repository:users/alice/public:pull"); err != nil {
		return err
	}
	if err := p.chat(ctx, p.alice, "/api/chat"); err != nil {
		return err
	}
	_ = p.Push(ctx, alice, "users/bob/model", blob)
	_ = p.get(ctx, stranger, "/v2/users/alice/model/manifests/v1")
	_ = p.anonymous(ctx, "repository:users/alice/model:pull")
	_ = p.chat(ctx, p.alice, "/api/pull")
	_ = p.chat(ctx, p.stranger, "/api/chat")
	return ctx.Err()
}

func (p *play) client(key signer.Signer) *http.Client {
	return &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{Key: challenge.StaticKey(key)}}}
}

func (p *play) get(ctx context.Context, c *http.Client, path string) error {
	_, err := stage.Do(ctx, c, http.MethodGet, p.Origin+path, "", nil)
	return err
}

// anonymous asks for a token without a key.
func (p *play) anonymous(ctx context.Context, scope string) error {
	u, err := url.Parse(p.Origin)
	if err != nil {
		return err
	}
	query := url.Values{"service": {u.Host}, "scope": {scope}}
	return p.get(ctx, http.DefaultClient, "/token?"+query.Encode())
}

// chat sends a signed request to the Ollama server, as Ollama's command does with
// OLLAMA_AUTH=1.
func (p *play) chat(ctx context.Context, key signer.Signer, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Origin+path, bytes.NewReader([]byte(`{"model":"m"}`)))
	if err != nil {
		return err
	}
	if err := challenge.SignRequest(ctx, key, req); err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s", path, res.Status)
	}
	return nil
}
