// Package challengetest is a registry in process. It challenges its clients,
// verifies their signatures, and makes mistakes when a test asks for them.
//
// It has the protocols of Ollama's registry: a 401 with a Bearer challenge, the
// signed exchange at the realm, tokens that expire, manifests and blobs to pull
// and push (OCI distribution specification), Ollama's signed API, and a sign-in
// page. An unmodified Ollama works with it (with [Config.CDN] for pulls). Tests and
// "countersign demo" use it. It keeps all data in memory and is not made for
// production.
package challengetest

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config describes a registry. The registry of the zero value knows every key and
// grants every access.
type Config struct {
	// Service is the service in challenges. Exchanges must repeat it. "" means
	// "challengetest".
	Service string

	// Realm is the part of the challenge's realm after the origin. "" means
	// "/v2/token". Clients must keep a query of the realm. "?" makes a realm without
	// a path. A Realm with an origin is the whole realm, for a registry behind a
	// proxy.
	Realm string

	// Login gives the token endpoint an origin of its own, as the tokens of
	// registry.ollama.ai come from ollama.com.
	Login bool

	// CDN redirects requests for blobs to another origin. Its host name is
	// "localhost" where the registry's is "127.0.0.1", because Ollama pulls blobs
	// only from another host name. Like S3, the CDN refuses a request with an
	// Authorization header.
	CDN bool

	// TLS makes the registry use https, with a certificate that Client trusts.
	TLS bool

	// InMemory connects Client through memory instead of loopback, so that the
	// registry works in a bubble of testing/synctest. Other clients cannot reach it.
	InMemory bool

	// Keys are the keys that the registry knows; nil means every key, or none
	// with SignIn.
	Keys []ssh.PublicKey

	// SignIn adds a sign-in page at /connect, like that of ollama.com. Everyone can
	// add a key there. The reply to a signed request with an unknown key contains
	// the address of the page as signin_url.
	SignIn bool

	// Grant decides whether a key may have one access, such as
	// "repository:library/llama3:pull"; nil grants everything.
	Grant func(key ssh.PublicKey, access string) bool

	// TTL is the lifetime of tokens; 0 means five minutes.
	TTL time.Duration

	// Now is the registry's clock, which its Date header shows too; nil means
	// time.Now.
	Now func() time.Time
}

// A Registry is a running registry. It is safe for concurrent use.
type Registry struct {
	// URL is its origin, such as "http://127.0.0.1:41234".
	URL string

	config    Config
	realm     string // in challenges
	tokenPath string // of requests to the realm
	otherURL  string // of a token endpoint with an origin of its own
	cdnURL    string
	main      *server
	other     *server // the CDN and a token endpoint of its own
	transport *http.Transport
	stop      context.CancelFunc

	parts  parts
	tokens issuer
	store  store

	connected connected
}

// Start starts a registry, on loopback unless c says otherwise. Close it after
// use.
func Start(c Config) (*Registry, error) {
	c.Service = cmp.Or(c.Service, "challengetest")
	c.Realm = cmp.Or(c.Realm, "/v2/token")
	c.TTL = cmp.Or(c.TTL, 5*time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	realm, err := url.Parse(c.Realm)
	if err != nil {
		return nil, err
	}
	r := &Registry{config: c, tokenPath: cmp.Or(realm.EscapedPath(), "/"), tokens: newIssuer(c.TTL)}
	if err := r.start(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Registry) start() error {
	var certificate *tls.Certificate
	r.transport = &http.Transport{MaxIdleConnsPerHost: 100}
	if r.config.TLS {
		own, trusted, err := newCertificate()
		if err != nil {
			return err
		}
		certificate = own
		r.transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	}
	n := network(loopback{})
	if r.config.InMemory {
		n = &memory{}
	}
	r.transport.DialContext = n.DialContext
	main, err := n.Listen()
	if err != nil {
		return err
	}
	other, err := n.Listen()
	if err != nil {
		main.Close()
		return err
	}
	r.URL, r.otherURL = r.origin(main.Addr().String()), r.origin(other.Addr().String())
	r.cdnURL = r.origin(cdnHost(other.Addr().String()))
	switch {
	case strings.Contains(r.config.Realm, "://"):
		r.realm = r.config.Realm
	case r.config.Login:
		r.realm = r.otherURL + r.config.Realm
	default:
		r.realm = r.URL + r.config.Realm
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.main = startServer(ctx, main, certificate, http.HandlerFunc(r.serveMain))
	r.other = startServer(ctx, other, certificate, http.HandlerFunc(r.serveOther))
	return nil
}

func (r *Registry) origin(host string) string {
	if r.config.TLS {
		return "https://" + host
	}
	return "http://" + host
}

// Close ends every connection and every request, including those that a fault
// holds. It returns when no goroutine of the registry is left.
func (r *Registry) Close() {
	r.stop()
	r.transport.CloseIdleConnections()
	r.main.close()
	r.other.close()
}

// Client returns a new client that reaches the registry and trusts its
// certificate.
func (r *Registry) Client() *http.Client { return &http.Client{Transport: r.transport} }

// Realm returns the realm that challenges name.
func (r *Registry) Realm() string { return r.realm }

func (r *Registry) serveMain(w http.ResponseWriter, req *http.Request) {
	switch path := req.URL.EscapedPath(); {
	case path == r.tokenPath && !r.config.Login:
		r.servePart(Tokens, r.serveToken, w, req)
	case path == "/v2", strings.HasPrefix(path, "/v2/"):
		r.servePart(Resources, r.serveResource, w, req)
	case strings.HasPrefix(path, "/api/"):
		r.servePart(API, r.serveAPI, w, req)
	case path == "/connect" && r.config.SignIn:
		r.serveSignIn(w, req)
	case path == "/" && isRead(req.Method):
		serveRoot(w)
	default:
		http.NotFound(w, req)
	}
}

func (r *Registry) serveOther(w http.ResponseWriter, req *http.Request) {
	if r.config.Login && req.URL.EscapedPath() == r.tokenPath {
		r.servePart(Tokens, r.serveToken, w, req)
		return
	}
	r.servePart(CDN, r.serveCDN, w, req)
}
