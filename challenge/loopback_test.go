package challenge_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

// A localRegistry is a registry on a loopback address, under the name host. Its
// transport believes that every name is another machine.
type localRegistry struct {
	*httptest.Server
	origin     challenge.Origin
	dialled    []string     // names that were dialled
	connected  atomic.Int32 // addresses that were dialled
	signatures atomic.Int32
	secrets    atomic.Int32 // requests with Authorization that arrived
}

// errLookedUp is the error of the transport's dialer for a name.
var errLookedUp = errors.New("the name was looked up")

func startLocal(t *testing.T, host, address string) *localRegistry {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Skipf("no listener on %s: %v", address, err)
	}
	r := &localRegistry{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.Listener.Close()
	r.Listener = listener
	r.Start()
	t.Cleanup(r.Close)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r.origin = parseOrigin(t, "http://"+net.JoinHostPort(host, port))
	return r
}

func (r *localRegistry) serve(w http.ResponseWriter, req *http.Request) {
	auth := req.Header.Get("Authorization")
	if auth != "" {
		r.secrets.Add(1)
	}
	switch {
	case req.URL.Path == "/token":
		_, _ = w.Write([]byte(`{"token":"t"}`))
	case auth == "":
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+r.origin.String()+`/token",service="s"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// useAsDefault makes http.DefaultTransport one that records the names that it dials.
func (r *localRegistry) useAsDefault(t *testing.T) {
	t.Helper()
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	transport := before.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = r.dial
	http.DefaultTransport = transport
}

func (r *localRegistry) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) == nil {
		r.dialled = append(r.dialled, host)
		return nil, errLookedUp
	}
	r.connected.Add(1)
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (r *localRegistry) key(t *testing.T) challenge.KeyFunc {
	t.Helper()
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return challenge.StaticKey(signer.Func(key.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		r.signatures.Add(1)
		return key.Sign(ctx, msg)
	}))
}

// clients returns a Transport and a RequestSigner for the registry.
func (r *localRegistry) clients(t *testing.T, base http.RoundTripper) map[string]http.RoundTripper {
	t.Helper()
	client := &challenge.Client{Key: r.key(t), Policy: challenge.Policy{Insecure: []challenge.Origin{r.origin}}}
	if base != nil {
		client.HTTP = &http.Client{Transport: base}
	}
	return map[string]http.RoundTripper{
		"Transport":     &challenge.Transport{Client: client, Base: base},
		"RequestSigner": &challenge.RequestSigner{Key: r.key(t), Origins: []challenge.Origin{r.origin}, Base: base},
	}
}

func get(t *testing.T, transport http.RoundTripper, url string) error {
	t.Helper()
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

var localNames = []string{"localhost", "localhost.", "registry.localhost", "a.b.localhost."}

// TestPlainHTTPToLocalNamesLooksNoNameUp: the DNS or /etc/hosts may have another
// machine under these names.
func TestPlainHTTPToLocalNamesLooksNoNameUp(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		for _, name := range localNames {
			r := startLocal(t, name, address)
			r.useAsDefault(t)
			for kind, transport := range r.clients(t, nil) {
				if err := get(t, transport, r.origin.String()+"/v2/"); err != nil {
					t.Errorf("%s: %s on %s: %v", kind, name, address, err)
				}
				transport.(interface{ CloseIdleConnections() }).CloseIdleConnections()
			}
			if r.connected.Load() == 0 {
				t.Errorf("%s on %s: the dialer of http.DefaultTransport was not used", name, address)
			}
			if len(r.dialled) > 0 || r.signatures.Load() != 2 {
				t.Errorf("%s on %s: dialled %q, %d signatures, want 2", name, address, r.dialled, r.signatures.Load())
			}
		}
	}
}

// A program's http.Transport without code of its own for connections is as good.
func TestPlainHTTPToLocalNamesThroughAnHTTPTransport(t *testing.T) {
	r := startLocal(t, "localhost", "127.0.0.1")
	for kind, transport := range r.clients(t, &http.Transport{}) {
		if err := get(t, transport, r.origin.String()+"/v2/"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestPlainHTTPToLocalNamesIsRefusedThroughOthers(t *testing.T) {
	for _, name := range localNames {
		r := startLocal(t, name, "127.0.0.1")
		toRegistry := func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.Listener.Addr().String())
		}
		elsewhere := &http.Transport{DialContext: toRegistry}
		proxied := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: r.Listener.Addr().String()})}
		for through, base := range map[string]http.RoundTripper{
			"a RoundTripper of the program": roundTripFunc(elsewhere.RoundTrip),
			"a dialer of the program":       elsewhere,
			"a proxy":                       proxied,
			"a proxy that cannot be chosen": &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("no") }},
		} {
			for kind, transport := range r.clients(t, base) {
				err := get(t, transport, r.origin.String()+"/v2/")
				if through == "a proxy that cannot be chosen" && kind == "Transport" {
					if err == nil {
						t.Errorf("%s: %s through %s: no error", kind, name, through)
					}
				} else if !errors.Is(err, challenge.ErrRealm) || !strings.Contains(err.Error(), "use https or http://"+r.Listener.Addr().String()) {
					t.Errorf("%s: %s through %s: %v, want ErrRealm and a remedy", kind, name, through, err)
				}
			}
		}
		if r.signatures.Load() != 0 || r.secrets.Load() != 0 {
			t.Errorf("%s: %d signatures, %d requests with a secret, want none", name, r.signatures.Load(), r.secrets.Load())
		}
	}
}

// Only the realm is under such a name: the registry is asked, and the key is not.
func TestPlainHTTPToLocalRealmIsRefusedThroughOthers(t *testing.T) {
	r := startLocal(t, "localhost", "127.0.0.1")
	registry := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(registry.Close)
	client := &challenge.Client{
		Key:    r.key(t),
		HTTP:   &http.Client{Transport: roundTripFunc(http.DefaultTransport.RoundTrip)},
		Policy: challenge.Policy{Pairs: []challenge.RealmPair{{Registry: parseOrigin(t, registry.URL), Realm: r.origin}}},
	}
	err := get(t, &challenge.Transport{Client: client}, registry.URL+"/v2/")
	if !errors.Is(err, challenge.ErrRealm) || r.signatures.Load() != 0 || r.secrets.Load() != 0 {
		t.Errorf("%v after %d signatures, want ErrRealm and none", err, r.signatures.Load())
	}
	client = &challenge.Client{Key: r.key(t), Policy: client.Policy}
	if err := get(t, &challenge.Transport{Client: client}, registry.URL+"/v2/"); err != nil {
		t.Errorf("through net/http: %v", err)
	}
}

// A proxy on another machine would send the request to itself.
func TestPlainHTTPToLoopbackAddressesIsRefusedThroughAForeignProxy(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		for proxy, want := range map[string]error{
			"http://192.0.2.1:3128":        challenge.ErrRealm,
			"https://proxy.example":        challenge.ErrRealm,
			"socks5://[2001:db8::1]:1080":  challenge.ErrRealm,
			"http://me:pass@127.0.0.2:808": nil,
			"http://localhost:3128":        nil,
		} {
			r := startLocal(t, address, address)
			u, err := url.Parse(proxy)
			if err != nil {
				t.Fatal(err)
			}
			base := &http.Transport{Proxy: http.ProxyURL(u), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				if u.Scheme != "http" {
					return nil, errors.New("the test has only a proxy for http")
				}
				return new(net.Dialer).DialContext(ctx, network, r.Listener.Addr().String())
			}}
			for kind, transport := range r.clients(t, base) {
				err := get(t, transport, r.origin.String()+"/v2/")
				if want == nil && err != nil || want != nil && u.Scheme == "http" && !errors.Is(err, want) {
					t.Errorf("%s: %s through %s: got error %v, want %v", kind, address, proxy, err, want)
				}
			}
			if sent := r.secrets.Load() + r.signatures.Load(); want != nil && sent != 0 {
				t.Errorf("%s through %s: %d signatures, %d requests with a secret, want none", address, proxy, r.signatures.Load(), r.secrets.Load())
			}
		}
	}
}

// Literal loopback addresses need no name, and https proves who answers.
func TestPlainHTTPToLoopbackAddressesThroughOthers(t *testing.T) {
	r := startLocal(t, "127.0.0.1", "127.0.0.1")
	base := roundTripFunc((&http.Transport{}).RoundTrip)
	for kind, transport := range r.clients(t, base) {
		if err := get(t, transport, r.origin.String()+"/v2/"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
