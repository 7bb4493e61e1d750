package challengetest

import (
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// user is the name in the replies of /api/me for every accepted key. There are no
// accounts: the button of the sign-in page makes the registry accept a key.
const user = "challengetest"

// connected holds the keys that the sign-in page added. The zero value is empty.
type connected struct {
	mu   sync.Mutex
	keys map[string]bool // by wire format
}

func (c *connected) add(key ssh.PublicKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = map[string]bool{}
	}
	c.keys[string(key.Marshal())] = true
}

func (c *connected) remove(key ssh.PublicKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, string(key.Marshal()))
}

func (c *connected) has(key ssh.PublicKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys[string(key.Marshal())]
}

// knows reports whether the registry accepts key.
func (r *Registry) knows(key ssh.PublicKey) bool {
	if r.connected.has(key) {
		return true
	}
	if r.config.Keys == nil {
		return !r.config.SignIn
	}
	wire := string(key.Marshal())
	return slices.ContainsFunc(r.config.Keys, func(k ssh.PublicKey) bool { return string(k.Marshal()) == wire })
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<title>Connect a key</title>
<h1>{{if .Done}}Connected{{else}}Connect this key?{{end}}</h1>
<p>Machine: <b id="name">{{.Name}}</b></p>
<p>Key: <code id="fingerprint">{{.Fingerprint}}</code></p>
{{if .Done}}<p id="done">The key is accepted from now on. You can close this page.</p>
{{else}}<form method="post"><button id="connect">Connect this key</button></form>
{{end}}`))

// serveSignIn shows the sign-in page, /connect?name=<host name>&key=<raw URL
// base64 of the authorized_keys line>. Its button sends a POST, which adds the key.
func (r *Registry) serveSignIn(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodPost {
		http.Error(w, "the sign-in page answers GET and POST only", http.StatusMethodNotAllowed)
		return
	}
	query := req.URL.Query()
	key, err := parseKey(query.Get("key"))
	if err != nil {
		http.Error(w, "the key in this address is malformed: "+err.Error(), http.StatusBadRequest)
		return
	}
	done := req.Method == http.MethodPost
	if done {
		r.connected.add(key)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page.Execute(w, struct {
		Name, Fingerprint string
		Done              bool
	}{query.Get("name"), ssh.FingerprintSHA256(key), done})
}

func (r *Registry) serveDisconnect(w http.ResponseWriter, encoded string) {
	key, err := parseKey(encoded)
	if err != nil {
		refuse(http.StatusBadRequest, "BAD_REQUEST", "the key in the path is malformed: "+err.Error()).write(w)
		return
	}
	r.connected.remove(key)
	w.WriteHeader(http.StatusOK)
}

func parseKey(text string) (ssh.PublicKey, error) {
	line, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("it is not in base64 for URLs, without padding")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey(line)
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return nil, errors.New("it is not one line of authorized_keys without options")
	}
	return key, nil
}

// signInURL returns the address of the sign-in page for key. The name is empty,
// because only the client knows the name of its machine.
func (r *Registry) signInURL(key ssh.PublicKey) string {
	line := signer.AuthorizedKey(key)
	return r.URL + "/connect?" + url.Values{
		"name": {""},
		"key":  {base64.RawURLEncoding.EncodeToString([]byte(line))},
	}.Encode()
}
