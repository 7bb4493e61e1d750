package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

// Limits of one connection.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10        // bytes
	shutdownGrace = 5 * time.Second // for requests that run when the proxy ends
)

// A Proxy passes requests of local programs on to Upstream and answers its challenges.
// Upstream and Client must be set. Do not change the fields after the first use. It is
// safe for concurrent use.
type Proxy struct {
	// Upstream is the server: http or https, a host, and perhaps a path that is put in
	// front of the path of each request.
	Upstream *url.URL

	// Client answers challenges, and its Base sends the requests. It opens its key at the
	// first request that needs it.
	Client *challenge.Client

	// Sign signs each request to /api/ and /v1/ as Ollama's clients do. Otherwise such a
	// request gets a token if the server challenges it.
	Sign bool

	// AllowPush and AllowDelete let requests through that change the content of the
	// server: see [Proxy.ServeHTTP].
	AllowPush, AllowDelete bool

	// AllowOrigins are the sites, such as "vscode-webview://abc" or
	// "http://localhost:3000", whose pages may use the proxy.
	AllowOrigins []string

	// Token, if it is not empty, must be in each request: as a bearer token, or as the
	// password of Basic authentication. It is for systems where the user of a connection
	// cannot be found: see [KnowsUsers].
	Token string

	// Log gets a line for each signature and for each request that is refused or fails;
	// nil means none.
	Log *slog.Logger

	once     sync.Once
	setUpErr error
	upstream challenge.Origin
	forward  *httputil.ReverseProxy
	realms   set // paths of the token endpoints that the server named, as endpoint returns them
	primed   set // names of repositories whose challenge Client knows
	watch    watch
	answers  http.RoundTripper
	signs    http.RoundTripper
}

// Serve serves the connections of l until ctx ends. Then it lets running requests end
// for some seconds, and closes l and all connections. It returns nil after ctx ended.
//
// A TCP listener must have a loopback address. The user of each client must be the user
// of this process, where the system tells (see [KnowsUsers]). Elsewhere a TCP listener needs
// Token.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	defer l.Close()
	if err := p.Check(); err != nil {
		return err
	}
	hosts, err := hostsOf(l.Addr())
	if err != nil {
		return err
	}
	if l.Addr().Network() == "tcp" && !KnowsUsers && p.Token == "" {
		return errors.New("this system does not tell which user connects to a port: set Token, or listen on a socket file")
	}
	server := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, clientKey{}, &client{conn: conn, hosts: hosts})
		},
		DisableGeneralOptionsHandler: true,
	}
	watching, end := context.WithCancel(context.WithoutCancel(ctx)) // as long as a request runs
	defer end()
	go p.watch.run(watching)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	return err
}

// ServeHTTP answers one request of a connection of [Proxy.Serve].
//
// These requests are passed on: GET and HEAD of / and below /v2/, /api/ and /v1/, and
// POST to the endpoints of Ollama that chat, generate, embed and show. AllowPush is needed
// to upload to a registry, and for each other POST, such as to Ollama's pull, push, create
// and copy; AllowDelete for each DELETE.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := p.Check()
	if err == nil {
		err = p.admit(r)
	}
	if err == nil && p.isPreflight(r) {
		p.answerPreflight(w, r)
		return
	}
	if err == nil {
		err = p.checkOperation(r)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.forward.ServeHTTP(&responseWriter{w}, p.traced(r))
	cleanFields(w.Header()) // the trailers
}

// Check returns the error of [Proxy.Serve] for a field that is missing or malformed.
func (p *Proxy) Check() error {
	p.once.Do(func() { p.setUpErr = p.setUp() })
	return p.setUpErr
}

func (p *Proxy) setUp() error {
	if p.Upstream == nil || p.Client == nil {
		return errors.New("proxy.Proxy: the fields Upstream and Client must be set")
	}
	var err error
	if p.upstream, err = challenge.OriginOf(p.Upstream); err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	if p.Upstream.User != nil || p.Upstream.RawQuery != "" || p.Upstream.Fragment != "" {
		return errors.New("upstream: the URL has a user name, a query or a fragment: leave it out")
	}
	for _, site := range p.AllowOrigins {
		if err := checkSite(site); err != nil {
			return err
		}
	}
	p.answers = &challenge.Transport{Client: p.Client}
	p.signs = p.answers
	if p.Sign {
		if err := p.Client.Policy.CheckPlain(p.upstream); err != nil {
			return fmt.Errorf("upstream: %w", err)
		}
		p.signs = &challenge.RequestSigner{Key: p.openKey, Origins: []challenge.Origin{p.upstream}, Base: p.Client.Base}
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite:        p.rewriteRequest,
		Transport:      roundTripper(p.roundTrip),
		BufferPool:     new(buffers), // a reply without a length, such as a chat, is passed on at once without FlushInterval
		ModifyResponse: p.rewriteResponse,
		ErrorHandler:   p.fail,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	return nil
}

// rewriteRequest makes the request to the server. ReverseProxy has removed Forwarded
// and X-Forwarded-*.
func (p *Proxy) rewriteRequest(r *httputil.ProxyRequest) {
	r.SetURL(p.Upstream)
	r.Out.Trailer = nil // its values would come after this check
	for name := range r.Out.Header {
		if isRemoved(name) {
			delete(r.Out.Header, name)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// roundTrip sends a request with a token or a signature.
func (p *Proxy) roundTrip(req *http.Request) (*http.Response, error) {
	path := p.pathOf(req.URL)
	if err := p.prepareBody(req, path); err != nil {
		return nil, err
	}
	req, stop := p.watch.add(req)
	defer stop()
	if isAPI(path) && p.Sign {
		resp, err := p.signs.RoundTrip(req)
		if signed(err) {
			p.logSignature(clientRequestOf(req), "ollama.api", slog.String("method", req.Method), slog.String("path", shown(path)))
		}
		return resp, err
	}
	return p.answers.RoundTrip(req)
}

// openKey is Client.Key.
func (p *Proxy) openKey(ctx context.Context, o challenge.Origin) (signer.Signer, error) {
	if p.Client.Key == nil {
		return nil, errors.New("the field Client.Key is nil: there is no key to sign with")
	}
	s, err := p.Client.Key(ctx, o)
	if err != nil {
		return nil, keyError{err}
	}
	return keySigner{s}, nil
}
