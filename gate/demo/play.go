package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// play lets the clients ask. Refusals are a part of the demonstration, so only a failure
// of something that must be granted is an error.
func (s *stage) play(ctx context.Context) error {
	alice, stranger := s.client(s.alice), s.client(s.stranger)
	if err := s.push(ctx, alice, "users/alice/model"); err != nil {
		return err
	}
	if err := s.push(ctx, alice, "users/alice/public"); err != nil {
		return err
	}
	if err := s.get(ctx, alice, "/v2/users/alice/model/manifests/v1"); err != nil {
		return err
	}
	if err := s.get(ctx, alice, "/v2/users/alice/model/blobs/"+digest([]byte("{}"))); err != nil {
		return err
	}
	if err := s.anonymous(ctx, "repository:users/alice/public:pull"); err != nil {
		return err
	}
	if err := s.chat(ctx, s.alice, "/api/chat"); err != nil {
		return err
	}
	_ = s.push(ctx, alice, "users/bob/model")
	_ = s.get(ctx, stranger, "/v2/users/alice/model/manifests/v1")
	_ = s.anonymous(ctx, "repository:users/alice/model:pull")
	_ = s.chat(ctx, s.alice, "/api/pull")
	_ = s.chat(ctx, s.stranger, "/api/chat")
	return ctx.Err()
}

func (s *stage) client(key signer.Signer) *http.Client {
	return &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{Key: challenge.StaticKey(key)}}}
}

func (s *stage) do(ctx context.Context, c *http.Client, method, address, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", manifestType+", */*")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return nil, err
	}
	if res.StatusCode >= 400 {
		return nil, fmt.Errorf("%s %s: %s", method, req.URL.Path, res.Status)
	}
	return res, nil
}

func (s *stage) get(ctx context.Context, c *http.Client, path string) error {
	_, err := s.do(ctx, c, http.MethodGet, s.origin+path, "", nil)
	return err
}

// push pushes a small artifact: a blob that is its configuration and only layer, and a
// manifest.
func (s *stage) push(ctx context.Context, c *http.Client, repository string) error {
	blob := []byte("{}")
	res, err := s.do(ctx, c, http.MethodPost, s.origin+"/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		return err
	}
	query := to.Query()
	query.Set("digest", digest(blob))
	to.RawQuery = query.Encode()
	if _, err := s.do(ctx, c, http.MethodPut, to.String(), "application/octet-stream", blob); err != nil {
		return err
	}
	part := map[string]any{"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(blob), "size": len(blob)}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": part, "layers": []any{part}})
	if err != nil {
		return err
	}
	_, err = s.do(ctx, c, http.MethodPut, s.origin+"/v2/"+repository+"/manifests/v1", manifestType, manifest)
	return err
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// anonymous asks for a token without a key.
func (s *stage) anonymous(ctx context.Context, scope string) error {
	u, err := url.Parse(s.origin)
	if err != nil {
		return err
	}
	query := url.Values{"service": {u.Host}, "scope": {scope}}
	_, err = s.do(ctx, http.DefaultClient, http.MethodGet, s.origin+"/token?"+query.Encode(), "", nil)
	return err
}

// chat sends a signed request to the Ollama server, as Ollama's command does with
// OLLAMA_AUTH=1.
func (s *stage) chat(ctx context.Context, key signer.Signer, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.origin+path, bytes.NewReader([]byte(`{"model":"m"}`)))
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
