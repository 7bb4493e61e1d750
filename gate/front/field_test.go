package front_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/front"
)

// TestAuthorizationOverHTTP2 wants no white space around the field, which oras sends with
// -H "Authorization: Bearer ...".
func TestAuthorizationOverHTTP2(t *testing.T) {
	h := &front.Handler{}
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	h.Sites = map[challenge.Origin]http.Handler{origin(t, server.URL): http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Protocol", r.Proto)
		w.Header().Set("Got", "<"+r.Header.Get("Authorization")+">")
	})}
	req, err := http.NewRequest(http.MethodGet, server.URL+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", " Bearer a b\t")
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Got"); got != "<Bearer a b>" || resp.Header.Get("Protocol") != "HTTP/2.0" {
		t.Errorf("%s: %s", resp.Header.Get("Protocol"), got)
	}
}
