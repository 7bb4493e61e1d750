// Package gate opens a registry, an Ollama server, or both to the SSH keys that people
// have. It stands at their public origin and admits requests that are signed with an
// enrolled key, as far as the grants of the key's owner go.
//
// The daemon countersignd is made of it. Its parts are packages of their own:
//
//   - front finds the site that a request is for, and the client's address;
//   - verify checks signatures, with the code of package challenge;
//   - authkeys knows whose keys are enrolled, grants knows what they may do;
//   - nonce accepts each token request once;
//   - token makes tokens, registry and ollama pass requests on.
package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/forward"
	"github.com/countersign/countersign/gate/front"
	"github.com/countersign/countersign/gate/grants"
	"github.com/countersign/countersign/gate/limit"
	"github.com/countersign/countersign/gate/metrics"
	"github.com/countersign/countersign/gate/nonce"
	"github.com/countersign/countersign/gate/ollama"
	"github.com/countersign/countersign/gate/pubkey"
	"github.com/countersign/countersign/gate/redisnonce"
	"github.com/countersign/countersign/gate/registry"
	"github.com/countersign/countersign/gate/reply"
	"github.com/countersign/countersign/gate/signin"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/gate/tlsfiles"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/gate/verify"
	"github.com/countersign/countersign/gate/watch"
	"github.com/countersign/countersign/signer"
)

// The limits of connections.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// A Gate is a configured gate. It is safe for concurrent use.
type Gate struct {
	config    *config.Config
	log       *slog.Logger
	audit     *audit.Log
	metrics   *metrics.Metrics
	keys      *authkeys.Store
	nonces    nonce.Store
	limits    *site.Limits
	running   *site.Running
	transport http.RoundTripper
	front     *front.Handler
	tls       *tlsfiles.Certificate // nil without TLS
	files     []watch.Watched
	ready     []func(context.Context) error
}

// Options are the surroundings of a Gate.
type Options struct {
	// Keys opens the references of signing keys. It must not keep opened keys.
	Keys signer.Backend

	// Log gets the messages for the operator.
	Log *slog.Logger

	// Decisions gets the audit lines, unless the configuration names a file for them.
	Decisions io.Writer

	// Nonces is the store of used requests; nil means that of the configuration.
	Nonces nonce.Store

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// New reads the files that c names and opens the signing keys. Errors name the file and
// its line, or the reference. Lines of authorized_keys with a mistake are no error: they
// are logged, and count for nothing.
func New(c *config.Config, o Options) (*Gate, error) {
	g := &Gate{
		config: c,
		log:    o.Log,
		audit:  audit.New(o.Decisions),
		limits: &site.Limits{
			Addresses: limit.New[netip.Prefix](c.Limits.PerAddress),
			Keys:      limit.New[pubkey.ID](c.Limits.PerKey),
		},
		running:   &site.Running{},
		transport: forward.NewTransport(),
		front:     &front.Handler{Sites: map[challenge.Origin]http.Handler{}, TrustedProxies: c.TrustedProxies},
	}
	var err error
	if c.Audit != "" {
		if g.audit, err = audit.Open(c.Audit); err != nil {
			return nil, err
		}
	}
	if g.keys, err = authkeys.Open(c.Keys.Authorized, c.Keys.Denied); err != nil {
		return nil, err
	}
	g.files = g.keys.Files()
	g.metrics = g.newMetrics()
	g.reportKeys()
	if g.nonces = o.Nonces; g.nonces == nil {
		if g.nonces, err = g.openNonces(); err != nil {
			return nil, err
		}
	}
	g.ready = append(g.ready, g.nonces.Ready)
	if c.TLS.Certificate != "" {
		if g.tls, err = tlsfiles.Open(c.TLS.Certificate, c.TLS.Key); err != nil {
			return nil, err
		}
		g.files = append(g.files, g.tls.Files()...)
	}
	for _, s := range c.Sites {
		if err := g.addSite(s, o); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Gate) openNonces() (nonce.Store, error) {
	if r := g.config.Replay; r.Redis != "" {
		return redisnonce.Open(r.Redis, r.RedisPassword, r.Past, r.Future)
	}
	return nonce.NewMemory(g.config.Replay.Past, g.config.Replay.Future), nil
}

// addSite makes the handlers of a public origin.
func (g *Gate) addSite(c config.Site, o Options) error {
	s := &site.Site{
		Config: c,
		Keys:   g.keys,
		Nonces: g.nonces,
		Window: verify.Window{Past: g.config.Replay.Past, Future: g.config.Replay.Future},
		Limits: g.limits, Running: g.running,
		Record: g.record,
		Report: func(what string, err error) { g.log.Error(what, "error", err) },
		Now:    o.Now,
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	var err error
	s.Grants, err = watch.Open(c.Grants, func(data []byte) (*grants.Grants, error) { return grants.Parse(data, c.Grants) })
	if err != nil {
		return err
	}
	g.files = append(g.files, s.Grants)
	h := siteHandler{}
	var pending *signin.Pending
	if g.config.Keys.Pending != "" {
		pending = signin.NewPending(g.config.Keys.Pending)
		h.connect = signin.Connect(s)
	}
	h.me = signin.Me(s, pending)
	if c.HasTokens() {
		if s.Tokens, err = token.Open(c, o.Keys); err != nil {
			return err
		}
		g.files = append(g.files, s.Tokens.Files()...)
		h.token = registry.TokenEndpoint(s)
	}
	if c.Registry != nil {
		if h.registry, err = g.addRegistry(s); err != nil {
			return err
		}
	}
	if c.Ollama != nil {
		h.ollama, h.path = ollama.New(s, g.transport, g.config.Limits.Body), c.Path
	}
	g.front.Sites[c.Origin] = h
	return nil
}

func (g *Gate) addRegistry(s *site.Site) (http.Handler, error) {
	var blobs *registry.Blobs
	if s.Config.Blobs != (challenge.Origin{}) {
		var err error
		if blobs, err = registry.NewBlobs(s); err != nil {
			return nil, err
		}
		g.files = append(g.files, blobs.Files()...)
	}
	r, err := registry.New(s, g.transport, blobs)
	if err != nil {
		return nil, err
	}
	if blobs != nil {
		g.front.Sites[s.Config.Blobs] = r.BlobHandler()
	}
	g.ready = append(g.ready, r.Ready)
	return r, nil
}

// A siteHandler chooses the handler of a path. A field that is nil means that the site
// does not have it.
type siteHandler struct {
	token    http.Handler // the token endpoint
	registry http.Handler // /v2/
	ollama   http.Handler // /api/ and /v1/ below path
	path     string
	connect  http.Handler // the sign-in page
	me       http.Handler // /api/me
}

func (h siteHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	next := http.Handler(nil)
	request := front.Of(r.Context())
	below, isBelow := strings.CutPrefix(request.Path, h.path)
	switch path := request.Path; {
	case path == signin.MePath, isBelow && below == signin.MePath:
		request.Path = signin.MePath
		h.me.ServeHTTP(w, r.WithContext(front.With(r.Context(), request)))
		return
	case isBelow && h.ollama != nil && (strings.HasPrefix(below, "/api/") || strings.HasPrefix(below, "/v1/")):
		request.Path = below
		h.ollama.ServeHTTP(w, r.WithContext(front.With(r.Context(), request)))
		return
	case (path == "/" || isBelow && (below == "/" || below == "")) && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		serveRoot(w)
		return
	case path == signin.ConnectPath:
		next = h.connect
	case path == site.TokenPath:
		next = h.token
	case strings.HasPrefix(path, "/v2/"):
		next = h.registry
	}
	if next == nil {
		reply.Error(w, http.StatusNotFound, reply.Unsupported, "no resource has this path")
		return
	}
	next.ServeHTTP(w, r)
}

// serveRoot answers the request that Ollama's command sends before each of its
// requests, to find out whether a server is running.
func serveRoot(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "countersignd is running\n")
}

func (g *Gate) record(d audit.Decision) {
	g.metrics.Observe(d)
	if err := g.audit.Write(d); err != nil {
		g.log.Error("the audit log cannot be written", "error", err)
	}
}

// Handler returns the handler for connections of clients.
func (g *Gate) Handler() http.Handler { return g.front }

// Ready returns why the gate cannot serve honest clients now, or nil: a file that
// cannot be used as it is, a store of nonces or a server behind the gate that does not
// answer.
func (g *Gate) Ready(ctx context.Context) error {
	all := []error{watch.Errors(g.files...)}
	for _, ready := range g.ready {
		all = append(all, ready(ctx))
	}
	return errors.Join(all...)
}

// Reload reads all files now.
func (g *Gate) Reload() {
	for _, f := range g.files {
		if f.Reload() {
			g.reportFile(f.Path(), f.Err())
		}
	}
}

// Watch reads files again when they change, until ctx ends. A value from again makes
// it read them at once, and open the audit log again.
func (g *Gate) Watch(ctx context.Context, again <-chan os.Signal) {
	forwarded := make(chan os.Signal)
	var tasks sync.WaitGroup
	tasks.Go(func() { watch.Run(ctx, forwarded, g.reportFile, g.files...) })
	defer tasks.Wait()
	expiry := time.NewTicker(time.Second)
	defer expiry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			g.running.Check()
		case s := <-again:
			if err := g.audit.Reopen(); err != nil {
				g.log.Error("the audit log cannot be opened again", "error", err)
			}
			select {
			case forwarded <- s:
			case <-ctx.Done():
			}
		}
	}
}

func (g *Gate) reportFile(path string, err error) {
	g.running.Check() // also after an error: an unreadable deny list refuses every key
	if err != nil {
		g.log.Error("file not used as it is now", "file", path, "error", err)
		return
	}
	g.log.Info("file read again", "file", path)
	if path == g.config.Keys.Authorized {
		g.reportKeys()
	}
}

func (g *Gate) reportKeys() {
	for _, m := range g.keys.Keys().Mistakes {
		g.log.Warn("a line of the authorized keys counts for nothing", "line", m.Line, "mistake", m.Error())
	}
}

// Serve answers clients on listeners until ctx ends. Then it accepts no more requests,
// and gives those that run the time of the configuration to end.
func (g *Gate) Serve(ctx context.Context, listeners ...net.Listener) error {
	g.awaitEpoch(ctx)
	server := g.server(g.front)
	if g.tls != nil {
		server.TLSConfig = g.tls.Config()
	}
	return g.run(ctx, server, listeners, func(l net.Listener) error {
		if g.tls != nil {
			return server.ServeTLS(l, "", "")
		}
		return server.Serve(l)
	})
}

// ServeAdmin answers the operator's own machines on a listener until ctx ends.
func (g *Gate) ServeAdmin(ctx context.Context, l net.Listener) error {
	server := g.server(g.AdminHandler())
	return g.run(ctx, server, []net.Listener{l}, server.Serve)
}

func (g *Gate) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            headerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

func (g *Gate) run(ctx context.Context, server *http.Server, listeners []net.Listener, serve func(net.Listener) error) error {
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- serve(l) }()
	}
	select {
	case err := <-failed:
		server.Close()
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.config.Limits.Drain)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		server.Close()
		return fmt.Errorf("requests were cut off after %v: %w", g.config.Limits.Drain, err)
	}
	return nil
}

// awaitEpoch waits for the time from which requests are accepted, which is less than a
// second away.
func (g *Gate) awaitEpoch(ctx context.Context) {
	if m, ok := g.nonces.(*nonce.Memory); ok {
		_ = verify.Await(ctx, m.Epoch(), time.Now()) // the caller sees the end of ctx
	}
}
