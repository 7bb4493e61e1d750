package challengetest_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
)

// whoami asks for the user's name, as Ollama's clients do.
func whoami(t *testing.T, r *challengetest.Registry, key ssh.Signer) reply {
	t.Helper()
	uri := "/api/me?ts=" + strconv.FormatInt(time.Now().Unix(), 10)
	req := request(t, http.MethodPost, r.URL+uri, "")
	req.Header.Set("Authorization", sign(t, key, "POST,"+uri))
	return do(t, r, req)
}

// text replaces the escapes of HTML, such as that of "+".
func text(r reply) reply {
	r.body = html.UnescapeString(r.body)
	return r
}

func connectURL(r *challengetest.Registry, name, line string) string {
	return r.URL + "/connect?name=" + name + "&key=" + base64.RawURLEncoding.EncodeToString([]byte(line))
}

func TestSignIn(t *testing.T) {
	r := start(t, challengetest.Config{SignIn: true})
	key, stranger := newKey(t), newKey(t)
	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	page := connectURL(r, "my%3Cb%3Ehost", line)

	refused := whoami(t, r, key)
	refused.want(t, http.StatusUnauthorized, fingerprint)
	var members struct {
		Error string
		URL   string `json:"signin_url"`
	}
	if err := json.Unmarshal([]byte(refused.body), &members); err != nil || members.Error != "unauthorized" {
		t.Fatalf("%q: %v", refused.body, err)
	}
	text(get(t, r, members.URL, "")).want(t, http.StatusOK, fingerprint)
	ask := func() reply {
		return exchange{realm: r.Realm(), query: query(pull, time.Now()).Encode(), key: key}.do(t, r)
	}
	ask().want(t, http.StatusUnauthorized, `"error":"unauthorized"`)

	shown := get(t, r, page, "")
	text(shown).want(t, http.StatusOK, fingerprint)
	shown.want(t, http.StatusOK, "my&lt;b&gt;host")
	shown.want(t, http.StatusOK, "Connect this key</button>")
	whoami(t, r, key).want(t, http.StatusUnauthorized, "") // a GET does not add the key

	send(t, r, http.MethodPost, page, "", "").want(t, http.StatusOK, "accepted")
	whoami(t, r, key).want(t, http.StatusOK, `"name":"challengetest"`)
	whoami(t, r, stranger).want(t, http.StatusUnauthorized, "unauthorized")
	ask().want(t, http.StatusOK, `"token":`)
}

func TestSignInRefusesMalformedKeys(t *testing.T) {
	r := start(t, challengetest.Config{SignIn: true})
	line := string(ssh.MarshalAuthorizedKey(newKey(t).PublicKey()))
	for name, page := range map[string]string{
		"no key":      r.URL + "/connect?name=x",
		"no base64":   r.URL + "/connect?name=x&key=%21",
		"no key line": connectURL(r, "x", "ssh-ed25519 AAAA"),
		"two keys":    connectURL(r, "x", line+line),
		"options":     connectURL(r, "x", "no-pty "+line),
	} {
		t.Run(name, func(t *testing.T) {
			get(t, r, page, "").want(t, http.StatusBadRequest, "malformed")
			send(t, r, http.MethodPost, page, "", "").want(t, http.StatusBadRequest, "malformed")
		})
	}
	send(t, r, http.MethodDelete, connectURL(r, "x", line), "", "").want(t, http.StatusMethodNotAllowed, "GET and POST")
	honest := start(t, challengetest.Config{})
	get(t, honest, connectURL(honest, "x", line), "").want(t, http.StatusNotFound, "")
}

func TestSignInWithConfiguredKeys(t *testing.T) {
	known, other := newKey(t), newKey(t)
	r := start(t, challengetest.Config{SignIn: true, Keys: []ssh.PublicKey{known.PublicKey()}})
	whoami(t, r, known).want(t, http.StatusOK, "challengetest")
	whoami(t, r, other).want(t, http.StatusUnauthorized, "signin_url")
}
