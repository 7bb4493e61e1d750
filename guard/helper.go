package guard

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// isHelperSecret: "COUNTERSIGN-SECRET,<origin>?actions=...&expires=...&id=...&key=...&service=...",
// with the parameters as url.Values.Encode writes them.
//
// Source: HelperSecret in package challenge.
func isHelperSecret(msg []byte) bool {
	text, ok := strings.CutPrefix(string(msg), "COUNTERSIGN-SECRET,")
	u, err := url.Parse(text)
	if !ok || err != nil {
		return false
	}
	origin, err := originOf(u)
	if err != nil || origin+"?"+u.RawQuery != text {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(strings.Split(u.RawQuery, "&")) != 5 || query.Encode() != u.RawQuery {
		return false
	}
	expires, err := strconv.ParseInt(query.Get("expires"), 10, 64)
	if err != nil || expires <= 0 || strconv.FormatInt(expires, 10) != query.Get("expires") {
		return false
	}
	return isNonce(query.Get("id")) && isFingerprint(query.Get("key")) && query.Get("service") != "" && areActions(query.Get("actions"))
}

// isNonce reports whether s is 16 bytes in base64 for URLs without padding.
func isNonce(s string) bool {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(decoded) == 16 && !strings.ContainsAny(s, "\r\n")
}

// isFingerprint reports whether s is the fingerprint of a key, as ssh-keygen -l prints it.
func isFingerprint(s string) bool {
	encoded, ok := strings.CutPrefix(s, "SHA256:")
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(encoded)
	return ok && err == nil && len(decoded) == 32 && !strings.ContainsAny(s, "\r\n")
}

// areActions wants some of three actions, each once, sorted.
func areActions(list string) bool {
	last := ""
	for action := range strings.SplitSeq(list, ",") {
		if !slices.Contains([]string{"delete", "pull", "push"}, action) || action <= last {
			return false
		}
		last = action
	}
	return true
}

// helperAudience returns the origin in the text of a helper secret.
func helperAudience(msg []byte) string {
	u, err := url.Parse(strings.TrimPrefix(string(msg), "COUNTERSIGN-SECRET,"))
	if err != nil {
		return ""
	}
	origin, err := originOf(u)
	if err != nil {
		return ""
	}
	return origin
}
