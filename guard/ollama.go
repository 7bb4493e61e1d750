package guard

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// emptyHash is the third field of the text of a token request: the base64 of the
// lower-case hex text of the SHA-256 of nothing. Package challenge has it too; a test
// compares the two.
const emptyHash = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="

// isTokenRequest: "GET,<URL with ts and nonce>,<emptyHash>". The URL is in the form
// that url.URL.String returns. The only URL without a nonce that Ollama signs is
// https://ollama.com, which is a token by itself.
//
// Source: Ollama's server/auth.go, getAuthorizationToken.
func isTokenRequest(msg []byte) bool {
	text, isGET := strings.CutPrefix(string(msg), "GET,")
	text, hasHash := strings.CutSuffix(text, ","+emptyHash)
	if !isGET || !hasHash || !isGraphic(text) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.String() != text || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	query, ok := timestamped(u.RawQuery)
	if !ok {
		return false
	}
	return hasNonce(u.RawQuery, query) || text == "https://ollama.com?ts="+query.Get("ts")
}

// hasNonce reports whether a query has one nonce: 16 bytes in base64url without
// padding, without escapes.
func hasNonce(rawQuery string, query url.Values) bool {
	nonce := query.Get("nonce")
	return isNonce(nonce) && len(query["nonce"]) == 1 && hasField(rawQuery, "nonce="+nonce)
}

// isAPIRequest: "<method>,<path>?<query with ts>".
//
// Source: Ollama's server/cloud_proxy.go, signCloudProxyRequest.
func isAPIRequest(msg []byte) bool {
	method, uri, _ := strings.Cut(string(msg), ",")
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	if !slices.Contains(methods, method) || !strings.HasPrefix(uri, "/") || !isGraphic(uri) || strings.Contains(uri, "#") {
		return false
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil || !isPlainPath(u.Path) {
		return false
	}
	_, ok := timestamped(u.RawQuery)
	return ok
}

// isPlainPath reports whether a path, without its escapes, names one resource for
// every server. Servers read an empty segment, a dot segment and a backslash in
// different ways, and some serve another path than the signed one.
func isPlainPath(path string) bool {
	if !utf8.ValidString(path) || strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return false
	}
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		name, _, _ := strings.Cut(segment, ";") // some servers cut a parameter before they look at dots
		last := i == len(segments)-1
		if name == "." || name == ".." || name == "" && !(last && segment == "") {
			return false
		}
	}
	return true
}

// timestamped parses a query and reports whether it has one ts: Unix seconds in
// decimal digits without leading zeros, without escapes.
func timestamped(rawQuery string) (query url.Values, ok bool) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil || len(query["ts"]) != 1 {
		return nil, false
	}
	ts := query.Get("ts")
	n, err := strconv.ParseInt(ts, 10, 64)
	return query, err == nil && n >= 0 && strconv.FormatInt(n, 10) == ts && hasField(rawQuery, "ts="+ts)
}

// hasField reports whether a query holds field, "name=value", spelt so.
func hasField(rawQuery, field string) bool {
	return slices.Contains(strings.Split(rawQuery, "&"), field)
}

// isGraphic reports whether s is ASCII without white space and control bytes.
func isGraphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
