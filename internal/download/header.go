package download

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// reserved has the fields that the program or the connection sets.
var reserved = []string{
	"Authorization", "Connection", "Content-Length", "Host", "If-Range", "Keep-Alive", "Proxy-Authorization",
	"Proxy-Connection", "Range", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// ParseHeader parses header fields such as "Accept: application/json". The errors do
// not repeat a value, because it may be a secret.
func ParseHeader(fields []string) (http.Header, error) {
	header := http.Header{}
	for _, field := range fields {
		name, value, ok := strings.Cut(field, ":")
		value = strings.TrimSpace(value)
		if !ok || !isToken(name) || strings.ContainsFunc(value, isControl) {
			return nil, errors.New("not a header field: want NAME: VALUE in one line")
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if slices.Contains(reserved, name) {
			return nil, fmt.Errorf("the header field %s cannot be given: the program sets it", name)
		}
		header.Add(name, value)
	}
	return header, nil
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		alphanumeric := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// CheckRedirect returns a function for [http.Client.CheckRedirect]. It removes the
// fields of header from a request to another origin than that of the first request,
// because one of them may be a secret. Fields that begin with "Accept" stay.
func CheckRedirect(header http.Header) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		if req.URL.Scheme == via[0].URL.Scheme && req.URL.Host == via[0].URL.Host {
			return nil
		}
		for name := range header {
			if !strings.HasPrefix(name, "Accept") {
				req.Header.Del(name)
			}
		}
		return nil
	}
}
