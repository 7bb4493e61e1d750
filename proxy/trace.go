package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/countersign/countersign/challenge"
)

// A clientRequest is a request as the client sent it. It is in the context of the request
// to the server.
type clientRequest struct {
	*http.Request
	end context.CancelCauseFunc // ends the request to the server
}

// clientRequestKey is where a context has its clientRequest.
type clientRequestKey struct{}

// clientRequestOf returns the request of the client that r is a part of, or r.
func clientRequestOf(r *http.Request) *http.Request {
	if c, ok := r.Context().Value(clientRequestKey{}).(clientRequest); ok {
		return c.Request
	}
	return r
}

// traced returns r with a context that logs signatures. It ends if the request turns out
// to go to the token endpoint, whose reply would hold a token, and if the client's body
// or the server's silence ends it.
func (p *Proxy) traced(r *http.Request) *http.Request {
	ctx, end := context.WithCancelCause(r.Context())
	ctx = context.WithValue(ctx, clientRequestKey{}, clientRequest{r, end})
	ctx = challenge.WithTrace(ctx, &challenge.Trace{
		Challenged: func(e challenge.Event) {
			if !p.learnRealm(e.Realm) {
				end(errManyRealms)
			} else if p.realms.has(endpoint(r.URL.Path)) {
				end(errTokenEndpoint)
			}
		},
		Exchanged: func(e challenge.Event) {
			if !signed(e.Err) {
				return
			}
			attrs := []slog.Attr{slog.String("scope", e.Scope), slog.String("key", e.Key), slog.String("ref", e.Ref)}
			if e.Err != nil {
				attrs = append(attrs, slog.String("error", e.Err.Error()))
			}
			p.logSignature(r, "ollama.registry", attrs...)
		},
	})
	out := r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = &clientBody{r.Body, end}
	}
	return out
}

var (
	errTokenEndpoint = &refusal{http.StatusForbidden, "this is the path of the token endpoint: its reply would hold a token"}
	errManyRealms    = &refusal{http.StatusBadGateway, "the server names too many token endpoints"}
)

// endpoint returns one text for all paths that a server may take for the same endpoint.
func endpoint(p string) string { return strings.ToLower(path.Clean("/" + p)) }

// learnRealm remembers the path of a token endpoint. It reports false if there are too
// many, because a path that is not remembered would not be refused.
func (p *Proxy) learnRealm(realm string) bool {
	u, err := url.Parse(realm)
	return err != nil || p.realms.add(endpoint(p.pathOf(u)))
}

// signed reports whether a request that ended with err had a signature.
func signed(err error) bool {
	step, ok := errors.AsType[*challenge.Error](err)
	return !errors.As(err, new(keyError)) && (!ok || step.Op != "get key" && step.Op != "sign")
}

// logSignature tells about a signature that a request of a client led to.
func (p *Proxy) logSignature(r *http.Request, purpose string, attrs ...slog.Attr) {
	p.log(r, slog.LevelInfo, "signed", append([]slog.Attr{slog.String("purpose", purpose)}, attrs...)...)
}

func (p *Proxy) log(r *http.Request, level slog.Level, message string, attrs ...slog.Attr) {
	if p.Log == nil {
		return
	}
	if c, ok := r.Context().Value(clientKey{}).(*client); ok {
		attrs = append(attrs, slog.String("client", c.name(r)))
	}
	p.Log.LogAttrs(r.Context(), level, message, attrs...)
}
