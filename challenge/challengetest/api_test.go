package challengetest_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
)

func TestAPI(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	r := start(t, challengetest.Config{Keys: []ssh.PublicKey{key.PublicKey()}})
	at := func(off time.Duration) string {
		return "/api/me?a=b+c&ts=" + strconv.FormatInt(time.Now().Add(off).Unix(), 10)
	}
	uri, stale := at(0), at(-time.Hour)
	tests := map[string]struct {
		method, uri, signed, before string
		key                         ssh.Signer
		want                        int
		text                        string
	}{
		"raw":          {"POST", uri, "POST," + uri, "", key, 200, ssh.FingerprintSHA256(key.PublicKey())},
		"DELETE":       {"DELETE", uri, "DELETE," + uri, "", key, 200, "fingerprint"},
		"Bearer":       {"POST", uri, "POST," + uri, "Bearer ", key, 200, ssh.FingerprintSHA256(key.PublicKey())},
		"other method": {"POST", uri, "GET," + uri, "", key, 401, "signature is not one of these bytes"},
		"other path":   {"POST", uri, "POST,/api/chat?ts=1", "", key, 401, "signature is not one of these bytes"},
		"other scheme": {"POST", uri, "POST," + uri, "Basic ", key, 401, "malformed public key"},
		"unknown key":  {"POST", uri, "POST," + uri, "", stranger, 401, "unknown key"},
		"stale":        {"POST", stale, "POST," + stale, "", key, 401, "ts differs by 1h"},
		"no ts":        {"POST", "/api/me", "POST,/api/me", "", key, 400, "ts missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			req := request(t, tt.method, r.URL+tt.uri, `{"not":"signed"}`)
			req.Header.Set("Authorization", tt.before+sign(t, tt.key, tt.signed))
			do(t, r, req).want(t, tt.want, tt.text)
		})
	}
}

// TestRoot wants the reply that Ollama's command waits for before each request.
func TestRoot(t *testing.T) {
	r := start(t, challengetest.Config{})
	get(t, r, r.URL+"/", "").want(t, http.StatusOK, "running")
	send(t, r, http.MethodHead, r.URL+"/", "", "").want(t, http.StatusOK, "")
	send(t, r, http.MethodPost, r.URL+"/", "", "").want(t, http.StatusNotFound, "")
}
