package ollama

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// SignInURL returns the address of the page where a person who is signed in at
// base adds key to the account: "<base>/connect?name=<name>&key=<key>". The base
// is "https://ollama.com" or another http or https URL, with or without a path.
// The page shows name as the name of this machine; [os.Hostname] returns a fitting
// one. For a name of letters, digits, "-" and "." the result is the URL that
// Ollama prints; SignInURL also escapes "&", "+" and the like, which Ollama does
// not.
//
// An error does not repeat base, because base may hold a password.
func SignInURL(base string, key ssh.PublicKey, name string) (string, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return "", errors.New("the sign-in page's base is no http or https URL with a host: give one such as https://ollama.com")
	case u.User != nil:
		return "", errors.New("the sign-in page's base holds a user name or password: leave it out")
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", errors.New(`the sign-in page's base holds a query or a fragment: end it before the "?" or "#"`)
	}
	u = u.JoinPath("connect")
	u.RawQuery = "name=" + escape(name) + "&key=" + base64.RawURLEncoding.EncodeToString([]byte(signer.AuthorizedKey(key)))
	return u.String(), nil
}

// escape writes a space as %20, as Ollama's server does. The server's own function,
// url.PathEscape, leaves "&" and "+" unescaped, which a query must not contain.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
