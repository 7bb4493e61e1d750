// Package verify checks the signatures of requests. The format is that of package
// challenge, and the texts are those that package guard knows.
//
// It checks in this order: the form of the text, its purpose, the kind and size of the
// key, the signature, the time. It does not know whose key it is: the caller looks
// that up afterwards, so that only the owner of a key learns whether it is enrolled.
package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/pubkey"
	"github.com/countersign/countersign/guard"
)

// MaxAuthorization is the length of the longest Authorization field, in bytes.
const MaxAuthorization = 8 << 10

// Why a request is refused. The reply is 401 in all cases.
var (
	// ErrForm: the request is not in the form of a signed request.
	ErrForm = errors.New("not a signed request")

	// ErrSignature: the signature is not one of this request by the key that it names.
	ErrSignature = errors.New("wrong signature")

	// ErrTime: the request was signed too long ago, or by a clock that is ahead.
	ErrTime = errors.New("the request was not signed just now")
)

// A Window limits the time of a request.
type Window struct{ Past, Future time.Duration }

// APIWindow is the window for requests to Ollama's API. They have no nonce, so it is
// short.
var APIWindow = Window{Past: 60 * time.Second, Future: 30 * time.Second}

// check compares times and no durations: a Duration to a time centuries away overflows.
func (w Window) check(ts, now time.Time) error {
	switch {
	case ts.Before(now.Add(-w.Past)):
		return fmt.Errorf("%w: it is %d seconds old, and %d are allowed: check both clocks", ErrTime, int(now.Sub(ts).Seconds()), int(w.Past.Seconds()))
	case ts.After(now.Add(w.Future)):
		return fmt.Errorf("%w: it is %d seconds ahead, and %d are allowed: check both clocks", ErrTime, int(ts.Sub(now).Seconds()), int(w.Future.Seconds()))
	}
	return nil
}

// Authorization returns the Authorization field of a request, or "" if there is none.
// Several fields, an empty and a long one are ErrForm: such a request is never that of
// an anonymous client.
func Authorization(h http.Header) (string, error) {
	values := h.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", fmt.Errorf("%w: it has several Authorization fields", ErrForm)
	case values[0] == "":
		return "", fmt.Errorf("%w: its Authorization field is empty", ErrForm)
	case len(values[0]) > MaxAuthorization:
		return "", fmt.Errorf("%w: its Authorization field has more than %d bytes", ErrForm, MaxAuthorization)
	}
	return values[0], nil
}

// A TokenRequest is a request to a token endpoint whose signature is right.
type TokenRequest struct {
	Key     ssh.PublicKey
	Service string
	Scopes  []string
	Time    time.Time
	Nonce   string
}

// tokenParameters are the parameters that a token request may have. The last three are
// Docker's.
var tokenParameters = map[string]bool{
	"service": true, "scope": true, "ts": true, "nonce": true,
	"account": true, "client_id": true, "offline_token": true,
}

// Token checks a signed GET request to a token endpoint. The target is its whole URL,
// with the origin as the client spells it. Errors wrap ErrForm, ErrSignature, ErrTime
// or pubkey.ErrWeak.
func Token(authorization, target string, w Window, now time.Time) (*TokenRequest, error) {
	text := challenge.TokenText(target)
	key, err := check(authorization, text, guard.Registry)
	if err != nil {
		return nil, err
	}
	_, rawQuery, _ := strings.Cut(target, "?")
	query, err := Query(rawQuery)
	if err != nil {
		return nil, err
	}
	r := &TokenRequest{Key: key, Service: query.Get("service"), Scopes: query["scope"], Nonce: query.Get("nonce")}
	if r.Nonce == "" { // the one text without a nonce that Ollama signs
		return nil, fmt.Errorf("%w: it has no nonce", ErrForm)
	}
	if r.Time, err = timeOf(query); err != nil {
		return nil, err
	}
	return r, w.check(r.Time, now)
}

// Query reads the query of a token request, signed or not. Errors wrap ErrForm: an
// unknown parameter, or another than scope that comes twice.
func Query(rawQuery string) (url.Values, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: its query is malformed", ErrForm)
	}
	for name, values := range query {
		if !tokenParameters[name] || name != "scope" && len(values) > 1 {
			return nil, fmt.Errorf("%w: its query has a parameter that is unknown here, or one twice", ErrForm)
		}
	}
	return query, nil
}

// An APIRequest is a request to Ollama's API whose signature is right.
type APIRequest struct {
	Key  ssh.PublicKey
	Time time.Time
}

// API checks a signed request to Ollama's API. The target is its path and query, as
// they are sent. The authorization may begin with "Bearer ". Errors are those of Token.
func API(authorization, method, target string, now time.Time) (*APIRequest, error) {
	if scheme, rest, ok := strings.Cut(authorization, " "); ok && strings.EqualFold(scheme, "Bearer") {
		authorization = rest
	}
	key, err := check(authorization, challenge.APIText(method, target), guard.API)
	if err != nil {
		return nil, err
	}
	_, rawQuery, _ := strings.Cut(target, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: its query is malformed", ErrForm)
	}
	ts, err := timeOf(query)
	if err != nil {
		return nil, err
	}
	return &APIRequest{key, ts}, APIWindow.check(ts, now)
}

// timeOf reads ts. Package guard has checked its form.
func timeOf(query url.Values) (time.Time, error) {
	seconds, err := strconv.ParseInt(query.Get("ts"), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: its ts is no time", ErrForm)
	}
	return time.Unix(seconds, 0), nil
}

// Secret checks the signature and the time of a helper secret. Errors are those of
// Token.
func Secret(secret string, now time.Time) (challenge.HelperSecret, ssh.PublicKey, error) {
	h, text, sig, err := challenge.ParseHelperSecret(secret)
	if err != nil {
		return challenge.HelperSecret{}, nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	if err := checkSignature(sig, text, guard.Helper); err != nil {
		return challenge.HelperSecret{}, nil, err
	}
	switch {
	case !now.Before(h.Expires):
		return challenge.HelperSecret{}, nil, fmt.Errorf("%w: the helper secret has expired", ErrTime)
	case h.Expires.Sub(now) > challenge.MaxHelperSecretLifetime:
		return challenge.HelperSecret{}, nil, fmt.Errorf("%w: the helper secret is valid for more than %v", ErrTime, challenge.MaxHelperSecretLifetime)
	}
	return h, sig.Key, nil
}

func check(authorization string, text []byte, purpose guard.Purpose) (ssh.PublicKey, error) {
	sig, err := challenge.ParseSignature(authorization)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	if err := checkSignature(sig, text, purpose); err != nil {
		return nil, err
	}
	return sig.Key, nil
}

func checkSignature(sig *challenge.Signature, text []byte, purpose guard.Purpose) error {
	if got := guard.PurposeOf(text); got != purpose {
		return fmt.Errorf("%w: its text has the purpose %s, and %s is wanted here", ErrForm, got, purpose)
	}
	if err := pubkey.Check(sig.Key); err != nil {
		return err
	}
	if err := sig.Verify(text); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// Await returns when the clock has reached ts, which a client whose clock is ahead
// wrote. Only then is a request taken (package nonce has the reason). The error is
// that of ctx.
func Await(ctx context.Context, ts, now time.Time) error {
	wait := ts.Sub(now)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
