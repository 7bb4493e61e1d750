package challengetest

import (
	"io"
	"net/http"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
)

// serveAPI answers signed requests as Ollama's API does: METHOD and request URI
// are signed, ts is in the query, and Authorization holds the signature, raw or
// behind "Bearer ". The reply names the user, as that of /api/me does, and the key.
func (r *Registry) serveAPI(w http.ResponseWriter, req *http.Request) {
	auth := req.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(auth, " "); ok && strings.EqualFold(scheme, "Bearer") {
		auth = rest
	}
	key, no := r.checkSignature(auth, req.Method+","+req.RequestURI)
	if no == nil {
		no = r.checkTime(req.URL.Query())
	}
	if no != nil {
		no.write(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"name": user, "fingerprint": ssh.FingerprintSHA256(key)})
}

// serveRoot answers the request that Ollama's command sends before each of its
// requests, to find out whether a server is running.
func serveRoot(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "challengetest is running")
}

// checkSignature returns the key that signed text, if the registry knows it.
func (r *Registry) checkSignature(authorization, text string) (ssh.PublicKey, *refusal) {
	key, err := challenge.Verify(authorization, []byte(text))
	if err != nil {
		return nil, refuse(http.StatusUnauthorized, "UNAUTHORIZED", err.Error())
	}
	r.parts.count(func(s *Stats) { s.Signatures++ })
	if r.knows(key) {
		return key, nil
	}
	no := refuse(http.StatusUnauthorized, "UNAUTHORIZED", "unknown key "+ssh.FingerprintSHA256(key))
	if r.config.SignIn {
		no.signIn = r.signInURL(key)
	}
	return nil, no
}
