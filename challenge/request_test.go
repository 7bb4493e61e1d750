package challenge_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

func TestRequestSigner(t *testing.T) {
	v := visit(t, challengetest.Config{})
	for _, bearer := range []bool{false, true} {
		client := &http.Client{Transport: &challenge.RequestSigner{Key: v.client.Key, Origins: []challenge.Origin{parseOrigin(t, v.URL)}, Bearer: bearer}}
		resp, err := client.Post(v.URL+"/api/me?b=2&a=1", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(body), ssh.FingerprintSHA256(v.key.PublicKey())) {
			t.Errorf("bearer=%v: %s: %s", bearer, resp.Status, body)
		}
		sent := v.Last(challengetest.API).Header.Get("Authorization")
		if strings.HasPrefix(sent, "Bearer ") != bearer {
			t.Errorf("bearer=%v: Authorization starts with %.8q", bearer, sent)
		}
	}
}

func TestRequestSignerRefusesOtherOrigins(t *testing.T) {
	v, other := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
	client := &http.Client{Transport: &challenge.RequestSigner{Key: v.client.Key, Origins: []challenge.Origin{parseOrigin(t, v.URL)}}}
	get := func(u string) {
		resp, err := client.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	get(other.URL + "/api/me")
	v.Fail(challengetest.API, 1, challengetest.Reply(307, "", "Location", other.URL+"/api/me"))
	get(v.URL + "/api/me")
	if n := v.signatures.Load(); n != 1 {
		t.Errorf("%d signatures, want the one for the first host", n)
	}
	if got := other.Last(challengetest.API).Header.Get("Authorization"); got != "" {
		t.Errorf("the other host was sent %q", got)
	}
}

func TestSignRequestLeavesARefusedRequestAlone(t *testing.T) {
	req, _ := http.NewRequest(http.MethodGet, "https://ollama.com/api/me?a;b", nil)
	before := req.URL.String()
	if err := challenge.SignRequest(t.Context(), visit(t, challengetest.Config{}).key, req); err == nil {
		t.Error("a malformed query is signed")
	}
	if req.URL.String() != before || req.Header.Get("Authorization") != "" {
		t.Errorf("changed: %s %v", req.URL, req.Header)
	}
}
