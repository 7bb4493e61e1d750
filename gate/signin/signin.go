// Package signin lets the owner of a new key ask the operator to enrol it.
//
// The client signs POST /api/me with the key. An enrolled key learns the name of its
// owner. Any other key is noted as waiting, and the reply has the address of the
// sign-in page, /connect, which shows the command that the operator runs. Nobody can
// enrol a key from the page.
package signin

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/pubkey"
	"github.com/countersign/countersign/gate/reply"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/gate/verify"
	"github.com/countersign/countersign/internal/printable"
)

// The paths of the two resources.
const (
	MePath      = "/api/me"
	ConnectPath = "/connect"
)

// Me returns the handler of POST /api/me, which the gate answers itself: at an Ollama
// server it acts with the identity of the server. Without a list of waiting keys,
// pending is nil.
func Me(s *site.Site, pending *Pending) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.Start(w, r)
		if c == nil {
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			c.Refuse(http.StatusMethodNotAllowed, reply.Unsupported, MePath+" answers POST")
			return
		}
		authorization, err := verify.Authorization(r.Header)
		if err != nil {
			c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
			return
		}
		request, err := verify.API(authorization, r.Method, c.Request.Target(), c.Now)
		if err != nil {
			c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
			return
		}
		serveMe(c, w, r, request.Key, pending)
	})
}

func serveMe(c *site.Call, w http.ResponseWriter, r *http.Request, key ssh.PublicKey, pending *Pending) {
	_, err := c.Site.Keys.Find(key, c.Request.Address, c.Now)
	if !errors.Is(err, authkeys.ErrUnknown) || pending == nil {
		if name, ok := c.Identify(key); ok {
			c.Grant(http.StatusOK)
			reply.JSON(w, http.StatusOK, map[string]string{"name": name})
		}
		return
	}
	if err := pending.Add(r.Context(), key, c.Request.Address.String(), c.Now); err != nil {
		if !errors.Is(err, ErrFull) {
			c.Site.Report("the list of waiting keys", err)
		}
		c.Refuse(http.StatusServiceUnavailable, reply.Unavailable, "no more keys can wait for approval now: ask the operator")
		return
	}
	page, err := challenge.SignInURL(c.Request.Origin, key, "")
	if err != nil {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, authkeys.ErrUnknown.Error())
		return
	}
	c.RefuseKey(http.StatusUnauthorized, key, authkeys.ErrUnknown.Error()+": it waits for approval")
	reply.JSON(w, http.StatusUnauthorized, map[string]string{"error": "unauthorized", "signin_url": page})
}

const style = `body{font-family:system-ui,sans-serif;line-height:1.5;max-width:45rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff;overflow-wrap:anywhere}code{font-size:1rem}pre{white-space:pre-wrap;background:#eee;padding:1rem;border:1px solid #767676}`

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{if .Mistake}}This address is not complete{{else}}Ask for access with this key{{end}}</title>
<style>` + style + `</style>
</head>
<body>
<main>
{{if .Mistake}}<h1>This address is not complete</h1>
<p id="mistake">{{.Mistake}}</p>
<p>Run <code>ollama signin</code> or <code>countersign connect</code> again, and open the whole address that it prints.</p>
{{else}}<h1>Ask for access with this key</h1>
<p>The operator of <b id="origin">{{.Origin}}</b> decides who may use it. Send the operator this fingerprint, on a way on which the operator knows you:</p>
<p><code id="fingerprint">{{.Fingerprint}}</code></p>
{{if .Name}}<p>The machine says that its name is <b id="name">{{.Name}}</b>. Nobody has checked that.</p>
{{end}}<h2>For the operator</h2>
<p>If you know whose key it is, run this command on the server, with the name of the key's owner instead of NAME:</p>
<pre><code id="command">countersignd approve {{.Fingerprint}} NAME</code></pre>
<p>The command enrols the key. What its owner may do is in the grants.</p>
{{end}}</main>
</body>
</html>
`))

// maxName is the longest name of a machine that the page shows.
const maxName = 100

// Connect returns the handler of the sign-in page,
// /connect?name=<host name>&key=<key> (challenge.SignInURL). It stores nothing, and
// does not tell whether the key is enrolled.
func Connect(s *site.Site) http.Handler {
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.Start(w, r)
		if c == nil {
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			c.Refuse(http.StatusMethodNotAllowed, reply.Unsupported, "the sign-in page answers GET")
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		shown := content{Origin: c.Site.Config.Origin.String()}
		key, name, mistake := readQuery(c.Request.RawQuery)
		if shown.Mistake = mistake; mistake != "" {
			w.WriteHeader(http.StatusBadRequest)
		} else {
			shown.Fingerprint, shown.Name = ssh.FingerprintSHA256(key), name
		}
		page.Execute(w, shown) // the client may be gone
	})
}

type content struct{ Origin, Fingerprint, Name, Mistake string }

// readQuery returns the key and the name in the address of the sign-in page, or the
// mistake in it.
func readQuery(rawQuery string) (key ssh.PublicKey, name, mistake string) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil || len(query["key"]) != 1 || len(query["name"]) > 1 {
		return nil, "", "It has no key."
	}
	line, err := base64.RawURLEncoding.DecodeString(query.Get("key"))
	if err != nil {
		return nil, "", "Its key is cut off or damaged."
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey(line)
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return nil, "", "Its key is cut off or damaged."
	}
	if err := pubkey.Check(key); err != nil {
		return nil, "", "This key cannot be used here. " + printable.Text(err.Error())
	}
	shown := []rune(printable.Text(query.Get("name")))
	return key, string(shown[:min(len(shown), maxName)]), ""
}
