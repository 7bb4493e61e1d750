package signin_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signin"
)

func TestAccount(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	key := ensureKey(t, c)
	if got, err := c.Account(t.Context(), key); !errors.Is(err, signin.ErrNotConnected) {
		t.Errorf("an unknown key: got %+v, %v", got, err)
	}
	press(t, r, c, key)
	got, err := c.Account(t.Context(), key)
	want := signin.Account{Name: "challengetest", Fingerprint: ssh.FingerprintSHA256(key.PublicKey())}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestAccountRepliesThatAreNone(t *testing.T) {
	for body, want := range map[string]error{
		`{}`:                            signin.ErrNotConnected,
		`{"name":""}`:                   signin.ErrNotConnected,
		`<html>`:                        challenge.ErrReply,
		`{"name":"ann","email":"a@b.c"`: challenge.ErrReply,
	} {
		r := startRegistry(t)
		r.Fail(challengetest.API, 1, challengetest.Reply(http.StatusOK, body))
		c := newClient(t, r)
		if got, err := c.Account(t.Context(), ensureKey(t, c)); !errors.Is(err, want) {
			t.Errorf("%s: got %+v, %v; want %v", body, got, err, want)
		}
	}
}

func TestAccountOfPlainServer(t *testing.T) {
	c := newClient(t, startRegistry(t))
	key := ensureKey(t, c)
	c.Server = parseOrigin(t, "http://192.0.2.1")
	for name, err := range map[string]error{
		"Account": func() error { _, err := c.Account(t.Context(), key); return err }(),
		"Page":    func() error { _, err := c.Page(key); return err }(),
		"SignOut": c.SignOut(t.Context(), key),
	} {
		if !errors.Is(err, challenge.ErrRealm) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A dripping server begins an answer and never ends it.
type dripping struct{ status int }

func (d dripping) RoundTrip(req *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	go func() {
		<-req.Context().Done()
		w.CloseWithError(req.Context().Err())
	}()
	return &http.Response{StatusCode: d.status, Header: http.Header{}, Body: body, Request: req}, nil
}

func TestAccountOfDrippingServer(t *testing.T) {
	c := newClient(t, startRegistry(t))
	key := ensureKey(t, c)
	for status, want := range map[int]error{http.StatusOK: challenge.ErrReply, http.StatusUnauthorized: signin.ErrNotConnected} {
		synctest.Test(t, func(t *testing.T) {
			c := &signin.Client{Server: c.Server, Base: dripping{status}}
			if _, err := c.Account(t.Context(), key); !errors.Is(err, want) {
				t.Errorf("%d: got %v, want %v", status, err, want)
			}
		})
	}
}

// TestSignOut compares the request with that of Ollama's own client, in
// challenge/testdata/ollama.json.
func TestSignOut(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	key := ensureKey(t, c)
	if err := c.SignOut(t.Context(), key); !errors.Is(err, signin.ErrNotConnected) {
		t.Errorf("a key that was not connected: %v", err)
	}
	press(t, r, c, key)
	if err := c.SignOut(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Account(t.Context(), key); !errors.Is(err, signin.ErrNotConnected) {
		t.Errorf("after SignOut: got %+v, %v", got, err)
	}
}
