package challengetest

import (
	"io"
	"net/http"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
)

// keysPath is the path of the keys of an account. A key follows as the sign-in page has
// it.
const keysPath = "/api/user/keys/"

// serveAPI answers signed requests as Ollama's API does. The signed text is
// METHOD,request URI; ts is in the query; Authorization holds the signature, with or
// without "Bearer " before it. The reply has the user's name, as the reply of
// /api/me, and the fingerprint of the key. DELETE of a key removes it from the keys that
// the sign-in page added, as Ollama's clients sign out.
func (r *Registry) serveAPI(w http.ResponseWriter, req *http.Request) {
	auth := req.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(auth, " "); ok && strings.EqualFold(scheme, "Bearer") {
		auth = rest
	}
	key, refused := r.checkSignature(auth, req.Method+","+req.RequestURI)
	if refused == nil {
		refused = r.checkTime(req.URL.Query())
	}
	if refused != nil {
		refused.write(w)
		return
	}
	if encoded, ok := strings.CutPrefix(req.URL.EscapedPath(), keysPath); ok && req.Method == http.MethodDelete {
		r.serveDisconnect(w, encoded)
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

// checkSignature returns the key that signed text. It refuses an unknown key.
func (r *Registry) checkSignature(authorization, text string) (ssh.PublicKey, *refusal) {
	key, err := challenge.Verify(authorization, []byte(text))
	if err != nil {
		return nil, refuse(http.StatusUnauthorized, "UNAUTHORIZED", err.Error())
	}
	r.parts.count(func(s *Stats) { s.Signatures++ })
	if r.knows(key) {
		return key, nil
	}
	refused := refuse(http.StatusUnauthorized, "UNAUTHORIZED", "unknown key "+ssh.FingerprintSHA256(key))
	if r.config.SignIn {
		refused.signIn = r.signInURL(key)
	}
	return nil, refused
}
