package ollama

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"golang.org/x/crypto/ssh"
)

// SignInURL returns the address of the page where a person who is signed in at
// base adds key to the account: "<base>/connect?name=<name>&key=<key>". The base
// is "https://ollama.com" or another http or https URL, with or without a path;
// name is what the page calls this machine, as [os.Hostname] does. For host names
// it is the URL that Ollama prints; "&", "+" and the like, which Ollama leaves
// bare, are escaped.
//
// Errors repeat nothing of base: it may hold a password.
func SignInURL(base string, key ssh.PublicKey, name string) (string, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return "", errors.New("the sign-in page's base is no http or https URL with a host: give one such as https://ollama.com")
	case u.User != nil:
		return "", errors.New("the sign-in page's base holds a user name or password: leave it out")
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", errors.New(`the sign-in page's base holds a query or fragment: leave out what follows "?" or "#"`)
	}
	u = u.JoinPath("connect")
	u.RawQuery = "name=" + escape(name) + "&key=" + base64.RawURLEncoding.EncodeToString([]byte(authorizedKey(key)))
	return u.String(), nil
}

// escape writes a space as %20, as Ollama's server does. Its url.PathEscape is for
// another part of a URL.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// authorizedKey returns key as a line of authorized_keys, without a comment and
// without a newline, as GetPublicKey does.
func authorizedKey(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}
