package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// TestKeyFailures wants the reason in the form that the client shows.
func TestKeyFailures(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{signer.WithHint(fmt.Errorf("%w: keychain login", signer.ErrLocked), signer.Hint{Do: "unlock the keychain"}), 503},
		{signer.ErrNotFound, 503},
		{signer.ErrUnavailable, 503},
		{signer.ErrDenied, 403},
		{errors.New("broken"), 503},
	} {
		r, p := startRegistry(t, challengetest.Config{})
		r.AddImage("library/demo", "latest", []byte("a layer"))
		opened := 0
		p.Sign = true
		p.Client = &challenge.Client{Key: func(context.Context, challenge.Origin) (signer.Signer, error) {
			opened++
			return nil, c.err
		}}
		f := start(t, p)
		f.want("GET", "/v2/library/demo/tags/none;", nil, nil, 400, "")
		if opened != 0 {
			t.Error("the key was opened before a request needed it")
		}
		text := c.err.Error()
		if hint, ok := signer.HintOf(c.err); ok {
			text += ": " + hint.Do
		}
		f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, c.status, `{"errors":[{"code":"`)
		f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, c.status, text)
		f.want("POST", "/api/me", nil, nil, c.status, `{"error":"`)
	}
}

func TestRejectedKey(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{Grant: func(ssh.PublicKey, string) bool { return false }})
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 403, `"code":"DENIED"`)
	resp := f.want("HEAD", "/v2/library/demo/manifests/latest", nil, nil, 403, "")
	if got := resp.Header.Get("Warning"); !strings.HasPrefix(got, `299 - "`) || !strings.Contains(got, "rejected by the server") {
		t.Errorf("HEAD has no body, and the warning is %q", got)
	}
	if got := f.log.String(); strings.Count(got, "level=WARN msg=failed") != 2 || !strings.Contains(got, "rejected by the server") {
		t.Errorf("the log does not tell the failures: %s", got)
	}
}

func TestUpstreamGone(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	r.Close()
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 502, "connection refused")
}
