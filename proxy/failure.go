package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// fail answers a request that got no reply of the server, in the form that its client
// shows: that of the OCI distribution specification below /v2/, else Ollama's.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if client, ok := r.Context().Value(requestKey{}).(*http.Request); ok {
		r = r.Clone(r.Context())
		r.URL, r.Header = client.URL, client.Header
	}
	p.forget(err, r.URL.Path)
	if cause := context.Cause(r.Context()); errors.As(cause, new(*refusal)) {
		err = cause
	}
	p.logFailure(r, err)
	status, code := statusOf(err)
	text := printable.Text(err.Error())
	if hint, ok := signer.HintOf(err); ok && hint.Do != "" {
		text += ": " + printable.Text(hint.Do)
	}
	var reply any = map[string]string{"error": text}
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		reply = map[string]any{"errors": []map[string]string{{"code": code, "message": text}}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusUnauthorized { // a client sends its token after this only
		w.Header().Set("WWW-Authenticate", `Basic realm="countersign proxy"`)
	}
	if r.Method == http.MethodHead { // it has no body: see "Warnings" in the OCI distribution specification
		w.Header().Set("Warning", "299 - "+strconv.Quote(text))
	}
	p.allowSite(w.Header(), r)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

// logFailure logs an error unless its client has left.
func (p *Proxy) logFailure(r *http.Request, err error) {
	if client, ok := r.Context().Value(requestKey{}).(*http.Request); ok && client.Context().Err() != nil {
		return
	}
	message := "failed"
	if errors.As(err, new(*refusal)) {
		message = "refused"
	}
	p.log(r, slog.LevelWarn, message, slog.String("method", r.Method), slog.String("path", shown(r.URL.Path)), slog.String("error", err.Error()))
}

// statusOf returns the status for err, and the code of the OCI distribution
// specification.
func statusOf(err error) (int, string) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status, "DENIED"
	}
	is := func(target error) bool { return errors.Is(err, target) }
	step, _ := errors.AsType[*challenge.Error](err)
	switch {
	case is(signer.ErrDenied), is(challenge.ErrRejected), is(challenge.ErrRealm):
		return http.StatusForbidden, "DENIED"
	case errors.As(err, new(keyError)), step != nil && (step.Op == "get key" || step.Op == "sign"):
		return http.StatusServiceUnavailable, "UNAVAILABLE"
	case is(context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "UNAVAILABLE"
	}
	return http.StatusBadGateway, "UNAVAILABLE"
}

// A keyError is an error of the key, and not of the server.
type keyError struct{ error }

func (e keyError) Unwrap() error { return e.error }
