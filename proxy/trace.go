package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/countersign/countersign/challenge"
)

// requestKey is where the context of a request to the server has the client's request.
type requestKey struct{}

// traced returns the context for a request: it logs signatures, and it ends if the
// request turns out to go to the token endpoint, whose reply would hold a token.
func (p *Proxy) traced(r *http.Request) context.Context {
	ctx, cancel := context.WithCancelCause(r.Context())
	ctx = context.WithValue(ctx, requestKey{}, r)
	return challenge.WithTrace(ctx, &challenge.Trace{
		Challenged: func(e challenge.Event) {
			p.learnRealm(e.Realm)
			if p.realms.has(r.URL.Path) {
				cancel(errTokenEndpoint)
			}
		},
		Exchanged: func(e challenge.Event) {
			if e.Err == nil {
				p.logSignature(ctx, "ollama.registry", slog.String("scope", e.Scope), slog.String("key", e.Key), slog.String("ref", e.Ref))
			}
		},
	})
}

var errTokenEndpoint = &refusal{http.StatusForbidden, "this is the path of the token endpoint: its reply would hold a token"}

// realms are the paths of the token endpoints that the server named.
type realms struct{ paths sync.Map }

func (r *realms) has(path string) bool {
	_, ok := r.paths.Load(endpoint(path))
	return ok
}

func (r *realms) add(path string) { r.paths.Store(endpoint(path), true) }

// endpoint returns one text for all paths that a server may take for the same endpoint.
func endpoint(p string) string { return strings.ToLower(path.Clean("/" + p)) }

func (p *Proxy) learnRealm(realm string) {
	u, err := url.Parse(realm)
	if err != nil {
		return
	}
	if o, err := challenge.OriginOf(u); err == nil && o == p.upstream {
		p.realms.add(p.pathOf(u))
	}
}

// logSignature tells about a signature or a token that a request led to.
func (p *Proxy) logSignature(ctx context.Context, purpose string, attrs ...slog.Attr) {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	p.log(r, slog.LevelInfo, "signed", append([]slog.Attr{slog.String("purpose", purpose)}, attrs...)...)
}

func (p *Proxy) log(r *http.Request, level slog.Level, message string, attrs ...slog.Attr) {
	if p.Log == nil {
		return
	}
	if c, ok := r.Context().Value(clientKey{}).(client); ok {
		attrs = append(attrs, slog.String("client", c.name))
	}
	p.Log.LogAttrs(r.Context(), level, message, attrs...)
}
