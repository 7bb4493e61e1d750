package main

import (
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

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
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	origin, err := challenge.ParseOrigin("https://ollama.com")
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]error{http.StatusOK: challenge.ErrReply, http.StatusUnauthorized: errNotAccepted} {
		synctest.Test(t, func(t *testing.T) {
			acc := newAccount(origin, key)
			acc.client.Transport.(*challenge.RequestSigner).Base = dripping{status}
			if _, _, err := acc.user(t.Context()); !errors.Is(err, want) {
				t.Errorf("%d: got %v, want %v", status, err, want)
			}
		})
	}
}
