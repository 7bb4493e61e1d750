package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// fail answers a request that got no reply of the server, in the form that its client
// shows: that of the OCI distribution specification below /v2/, else Ollama's.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if cause := context.Cause(r.Context()); errors.As(cause, new(*refusal)) {
		err = cause
	}
	r = clientRequestOf(r)
	p.forget(err, r.URL.Path)
	status, code := statusOf(err)
	p.logFailure(r, status, err)
	text := printable.Text(err.Error())
	if hint, ok := signer.HintOf(err); ok && hint.Do != "" {
		text += ": " + printable.Text(hint.Do)
	}
	var reply any = map[string]string{"error": text}
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		reply = map[string]any{"errors": []map[string]string{{"code": code, "message": text}}}
	}
	w.Header().Set("Content-Type", "application/json")
	switch status {
	case http.StatusBadRequest: // where the next request begins is not sure
		w.Header().Set("Connection", "close")
	case http.StatusUnauthorized: // a client sends its token after this only
		w.Header().Set("WWW-Authenticate", `Basic realm="countersign proxy"`)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE")
	}
	if r.Method == http.MethodHead { // it has no body: see "Warnings" in the OCI distribution specification
		w.Header().Set("Warning", "299 - "+strconv.Quote(text))
	}
	p.protect(w.Header(), r)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

// logFailure logs an error unless its client has left.
func (p *Proxy) logFailure(r *http.Request, status int, err error) {
	if r.Context().Err() != nil {
		return
	}
	message := "failed"
	if errors.As(err, new(*refusal)) && status < http.StatusInternalServerError {
		message = "refused"
	}
	p.log(r, slog.LevelWarn, message, slog.String("method", r.Method), slog.String("path", shown(r.URL.Path)), slog.String("error", err.Error()))
}

// statusOf returns the status for err, and the code of the OCI distribution
// specification.
func statusOf(err error) (int, string) {
	if r, ok := errors.AsType[*refusal](err); ok {
		if r.status >= http.StatusInternalServerError {
			return r.status, "UNAVAILABLE"
		}
		return r.status, "DENIED"
	}
	is := func(target error) bool { return errors.Is(err, target) }
	step, _ := errors.AsType[*challenge.Error](err)
	switch {
	case is(signer.ErrDenied), is(challenge.ErrRejected), is(challenge.ErrRealm):
		return http.StatusForbidden, "DENIED"
	case errors.As(err, new(keyError)), step != nil && (step.Op == "get key" || step.Op == "sign"):
		return http.StatusServiceUnavailable, "UNAVAILABLE"
	case isTimeout(err):
		return http.StatusGatewayTimeout, "UNAVAILABLE"
	}
	return http.StatusBadGateway, "UNAVAILABLE"
}

// isTimeout reports whether err is the end of a time limit, of a context or of a
// connection.
func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

// A keyError is an error of the key, and not of the server.
type keyError struct{ error }

func (e keyError) Unwrap() error { return e.error }

// A keySigner is a Signer whose errors are of type keyError.
type keySigner struct{ signer.Signer }

func (s keySigner) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	sig, err := s.Signer.Sign(ctx, msg)
	if err != nil {
		return nil, keyError{err}
	}
	return sig, nil
}
