package challenge

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A Purpose names the protocol in which a signature of a text would be valid.
type Purpose string

// What PurposeOf tells apart. The first two are Ollama's.
const (
	PurposeRegistry Purpose = "ollama.registry" // a token request to a registry's realm
	PurposeAPI      Purpose = "ollama.api"      // a signed API request
	PurposeCavage   Purpose = "http.cavage"     // an HTTP signature as Gitea and CloudAPI take it
	PurposeRFC9421  Purpose = "http.rfc9421"    // an HTTP message signature
	PurposeJWS      Purpose = "jws"             // a JSON Web Signature
	PurposeSSHSig   Purpose = "sshsig"          // ssh-keygen -Y sign, and so git
	PurposeUserAuth Purpose = "ssh.userauth"    // a login
	PurposeCert     Purpose = "ssh.cert"
	PurposeKRL      Purpose = "ssh.krl"
	PurposeDigest   Purpose = "digest" // signed bare, for instance by an SSH host
	PurposeTLS13    Purpose = "tls13"  // a handshake
	PurposeASN1     Purpose = "asn1"   // X.509, CMS and the like
	PurposeDSSE     Purpose = "dsse"
	PurposeSaltpack Purpose = "saltpack"
	PurposeRaw      Purpose = "raw" // none of these
)

// PurposeOf tells by the form of msg which protocol it belongs to. Ollama's two
// forms are taken strictly and all others generously: nothing that one of their
// verifiers accepts must pass for raw.
func PurposeOf(msg []byte) Purpose { return protocolOf(msg).purpose }

// Guard returns nil if msg has one of Ollama's two forms, and an error otherwise:
// the key that signs here may also log in over SSH or sign commits, and whoever
// chose msg could make it do so. With allowRaw, PurposeRaw passes too. The error
// repeats nothing of msg.
func Guard(msg []byte, allowRaw bool) error {
	p := protocolOf(msg)
	switch {
	case p.purpose == PurposeRegistry, p.purpose == PurposeAPI:
		return nil
	case p.purpose != PurposeRaw:
		return fmt.Errorf("refused to sign: the signature would be good for %s (%s): use a program made for that", p.what, p.purpose)
	case allowRaw:
		return nil
	}
	return errors.New("refused to sign: not a request to a registry or to Ollama: allow raw text if you know what the signature is good for")
}

// isRegistryRequest: "GET,<URL with ts and nonce>,<emptyHash>". The only URL that
// Ollama has signed without a nonce is its own, as a token in itself.
func isRegistryRequest(msg []byte) bool {
	text, isGET := strings.CutPrefix(string(msg), "GET,")
	text, hasHash := strings.CutSuffix(text, ","+emptyHash)
	if !isGET || !hasHash || !isGraphic(text) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.String() != text || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	query, ok := stamped(u.RawQuery)
	if !ok {
		return false
	}
	nonce := query.Get("nonce")
	decoded, err := base64.RawURLEncoding.DecodeString(nonce)
	if err == nil && len(nonce) == 22 && len(decoded) == 16 && len(query["nonce"]) == 1 {
		return true
	}
	return text == "https://ollama.com?ts="+query.Get("ts")
}

// isAPIRequest: "<method>,<request URI with ts>".
func isAPIRequest(msg []byte) bool {
	method, uri, _ := strings.Cut(string(msg), ",")
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	if !slices.Contains(methods, method) || !strings.HasPrefix(uri, "/") || !isGraphic(uri) || strings.Contains(uri, "#") {
		return false
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return false
	}
	_, ok := stamped(u.RawQuery)
	return ok
}

// stamped parses a query and reports whether it has one ts, in Unix seconds.
func stamped(rawQuery string) (query url.Values, ok bool) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil || len(query["ts"]) != 1 {
		return nil, false
	}
	ts := query.Get("ts")
	_, err = strconv.ParseUint(ts, 10, 63)
	return query, err == nil && slices.Contains(strings.Split(rawQuery, "&"), "ts="+ts)
}

// isGraphic reports whether s is ASCII without white space and control bytes.
func isGraphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
