package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ollama/ollama/x/imagegen/transfer"
)

// connectOllama downloads with x/imagegen/transfer, the only part of Ollama's
// client that is neither internal nor tied to the whole server: a call of
// Download, as a pull of Ollama makes one, with one layer for each caller. Like
// the server, it hands the last token to the next call.
func connectOllama(tb testing.TB, s site) pull {
	dir := tb.TempDir()
	var last atomic.Value
	getToken := func(ctx context.Context, c transfer.AuthChallenge) (string, error) {
		token, err := s.exchange(ctx, c)
		if err == nil {
			last.Store(token)
		}
		return token, err
	}
	return func(ctx context.Context, repo string, callers int) []error {
		dest, err := os.MkdirTemp(dir, "")
		if err != nil {
			return []error{err}
		}
		token, _ := last.Load().(string)
		o := transfer.DownloadOptions{
			BaseURL: s.url, Repository: repo, DestDir: dest,
			Client: ollamaHTTP(s.base), Token: token, GetToken: getToken,
		}
		for _, l := range s.layers[:callers] {
			o.Blobs = append(o.Blobs, transfer.Blob{Digest: l.digest, Size: int64(l.size)})
		}
		err = transfer.Download(ctx, o)
		var errs []error
		for _, b := range o.Blobs {
			if _, missing := os.Stat(filepath.Join(dest, strings.Replace(b.Digest, ":", "-", 1))); missing != nil {
				errs = append(errs, cmp.Or(err, missing))
			}
		}
		return errs
	}
}

// ollamaHTTP follows no redirect, as the default client of package transfer.
func ollamaHTTP(base http.RoundTripper) *http.Client {
	return &http.Client{Transport: base, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// exchange stands in for the server's getAuthorizationToken.
func (s site) exchange(ctx context.Context, c transfer.AuthChallenge) (string, error) {
	query := url.Values{"service": {c.Service}, "scope": {c.Scope}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Realm+"?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	resp, err := s.peerClient().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("no token: %s", resp.Status)
	}
	var reply struct{ Token string }
	err = json.NewDecoder(resp.Body).Decode(&reply)
	return reply.Token, err
}
