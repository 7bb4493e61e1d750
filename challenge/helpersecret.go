package challenge

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// This file has the format of the secrets that a credential helper gives to a client
// that cannot sign. Its section is one of docs/wire-formats.md.

// Section: Helper secret

// The lifetimes of helper secrets.
const (
	HelperSecretLifetime    = time.Hour
	MaxHelperSecretLifetime = 12 * time.Hour
)

// helperMethod begins the text of a helper secret. No text of Ollama begins so.
const helperMethod = "COUNTERSIGN-SECRET,"

// helperActions are the actions that a helper secret can allow, sorted.
var helperActions = []string{"delete", "pull", "push"}

// A HelperSecret lets a client that cannot sign ask a token endpoint for tokens, until
// it expires. A credential helper makes one with [HelperSecret.Sign]. The client sends
// it as the refresh_token of an OAuth 2.0 request (distribution's
// docs/content/spec/auth/oauth.md).
type HelperSecret struct {
	// Origin is the origin of the registry, which is that of its token endpoint.
	Origin Origin

	// Service is the service of the registry's challenges.
	Service string

	// Actions are the actions that the tokens may allow: some of "pull", "push" and "delete".
	Actions []string

	// Expires is the end, in whole seconds, at most MaxHelperSecretLifetime away.
	Expires time.Time

	// ID names the secret in logs: 16 random bytes in base64 for URLs without padding.
	// Sign makes one if it is "".
	ID string
}

// Sign returns the secret, signed by s. Errors: those of [Sign]; a field of h that is
// missing or malformed.
func (h HelperSecret) Sign(ctx context.Context, s signer.Signer) (string, error) {
	if h.ID == "" {
		h.ID = newNonce()
	}
	text := h.text(s.PublicKey())
	if _, err := parseHelperText(text, s.PublicKey()); err != nil {
		return "", err
	}
	auth, err := Sign(ctx, s, []byte(text))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + auth, nil
}

func (h HelperSecret) text(key ssh.PublicKey) string {
	u := h.Origin.URL()
	u.RawQuery = url.Values{
		"actions": {strings.Join(slices.Sorted(slices.Values(h.Actions)), ",")},
		"expires": {strconv.FormatInt(h.Expires.Unix(), 10)},
		"id":      {h.ID},
		"key":     {ssh.FingerprintSHA256(key)},
		"service": {h.Service},
	}.Encode()
	return helperMethod + u.String()
}

var errHelper = errors.New("malformed helper secret")

// ParseHelperSecret reads a secret that [HelperSecret.Sign] returned. The caller
// verifies that sig is a signature of text, and checks the fields of the secret.
func ParseHelperSecret(secret string) (h HelperSecret, text []byte, sig *Signature, err error) {
	encoded, auth, ok := strings.Cut(secret, ".")
	text, err = base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || strings.ContainsAny(encoded, "\r\n") {
		return HelperSecret{}, nil, nil, errHelper
	}
	if sig, err = ParseSignature(auth); err != nil {
		return HelperSecret{}, nil, nil, err
	}
	if h, err = parseHelperText(string(text), sig.Key); err != nil {
		return HelperSecret{}, nil, nil, err
	}
	return h, text, sig, nil
}

// parseHelperText reads the text of a secret of key. There is one text for each secret.
func parseHelperText(text string, key ssh.PublicKey) (HelperSecret, error) {
	target, ok := strings.CutPrefix(text, helperMethod)
	u, err := url.Parse(target)
	if !ok || err != nil {
		return HelperSecret{}, errHelper
	}
	query := u.Query()
	h := HelperSecret{Service: query.Get("service"), ID: query.Get("id"), Actions: strings.Split(query.Get("actions"), ",")}
	if h.Origin, err = OriginOf(u); err != nil {
		return HelperSecret{}, fmt.Errorf("%w: %w", errHelper, err)
	}
	seconds, err := strconv.ParseInt(query.Get("expires"), 10, 64)
	if err != nil || seconds <= 0 {
		return HelperSecret{}, fmt.Errorf("%w: expires", errHelper)
	}
	h.Expires = time.Unix(seconds, 0)
	id, err := base64.RawURLEncoding.Strict().DecodeString(h.ID)
	switch {
	case err != nil || len(id) != 16:
		return HelperSecret{}, fmt.Errorf("%w: id", errHelper)
	case h.Service == "":
		return HelperSecret{}, fmt.Errorf("%w: service", errHelper)
	case !areHelperActions(h.Actions):
		return HelperSecret{}, fmt.Errorf("%w: actions: want some of pull, push and delete", errHelper)
	case h.text(key) != text:
		return HelperSecret{}, errHelper
	}
	return h, nil
}

// areHelperActions wants known actions, each once, sorted.
func areHelperActions(actions []string) bool {
	return len(actions) > 0 && slices.IsSorted(actions) && len(slices.Compact(slices.Clone(actions))) == len(actions) &&
		!slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(helperActions, a) })
}
