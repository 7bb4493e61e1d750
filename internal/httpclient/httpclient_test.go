package httpclient_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countersign/countersign/internal/httpclient"
)

// TestBodyWaitsForAgreement wants the body of a request with "Expect: 100-continue" to stay
// unread if the server refuses it. The proxy can then send it again with a token.
func TestBodyWaitsForAgreement(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer server.Close()
	transport := httpclient.NewTransport()
	defer transport.CloseIdleConnections()
	body := &countingBody{}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Expect", "100-continue")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if body.reads != 0 {
		t.Errorf("the body was read %d times before the server agreed", body.reads)
	}
}

type countingBody struct{ reads int }

func (b *countingBody) Read([]byte) (int, error) {
	b.reads++
	return 0, errors.New("read too early")
}
