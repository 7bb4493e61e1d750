package challenge_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

func TestRejectedKey(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(403, `{"errors":[{"code":"DENIED","message":"\u001b[31mnot\nfor you\u0007"}]}`))
	_, err := v.get(t.Context(), manifest)
	var e *challenge.Error
	if !errors.Is(err, challenge.ErrRejected) || !errors.As(err, &e) {
		t.Fatalf("error %v, want ErrRejected", err)
	}
	if e.Status != 403 || e.Server != `\x1b[31mnot for you\a` || e.Scope != "repository:"+repo+":pull" || e.Op != "get token" {
		t.Errorf("the error lacks something: %+v", e)
	}
	if strings.ContainsAny(err.Error(), "\x1b\x07") {
		t.Errorf("control characters reach the terminal: %q", err)
	}
}

func TestKeyThatCannotBeOpened(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) {
		return nil, &signer.Error{Op: "open", Ref: "keyring:ollama", Err: signer.ErrLocked}
	}
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, signer.ErrLocked) || !strings.Contains(err.Error(), "keyring:ollama") {
		t.Errorf("error %v, want ErrLocked with the reference", err)
	}
}

func TestErrorsNameTheReference(t *testing.T) {
	v := visit(t, challengetest.Config{})
	key := v.key
	open := signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return key, nil })
	keys := &signer.Keeper{Backend: signer.Mux{"mem": open}}
	v.client.Key = func(ctx context.Context, _ challenge.Origin) (signer.Signer, error) {
		return keys.Open(ctx, "mem:ollama")
	}
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(401, ""))
	if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "(mem:ollama)") {
		t.Errorf("error %v, want the reference in it", err)
	}
}

func TestNilSigner(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, nil }
	if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "neither a signer nor an error") {
		t.Errorf("error %v", err)
	}
}

func TestNewKeyNeedsANewToken(t *testing.T) {
	v, other := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
	v.mustGet(t, manifest)
	v.key = other.key
	v.mustGet(t, manifest)
	if n := v.Stats().Exchanges; n != 2 {
		t.Errorf("%d exchanges for two keys, want 2", n)
	}
}

func TestNilKey(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.client.Key = nil
	if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "field Key is nil") {
		t.Errorf("Transport: error %v", err)
	}
	body := &closeCounter{Reader: strings.NewReader("{}")}
	client := &http.Client{Transport: &challenge.RequestSigner{Origins: []challenge.Origin{parseOrigin(t, v.URL)}}}
	if _, err := client.Post(v.URL, "text/plain", body); err == nil || !strings.Contains(err.Error(), "field Key is nil") || body.closed == 0 {
		t.Errorf("RequestSigner: error %v, body closed %d times", err, body.closed)
	}
}
