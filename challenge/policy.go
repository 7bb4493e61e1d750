package challenge

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/printable"
)

// ErrRealm: the realm policy refused to answer. No key was touched.
var ErrRealm = errors.New("realm refused")

// A Policy decides which challenges are answered: which token endpoints (realms)
// may get a signature for which registries. A realm on the registry's own origin
// always may. The zero value allows the pairs of DefaultRealms, and plain http to
// this machine only.
type Policy struct {
	// Pairs are the realms on other origins than the registry's; nil means
	// DefaultRealms, an empty slice none.
	Pairs []RealmPair

	// Insecure lists the registries that may use plain http, by their http origin.
	// This machine always may.
	Insecure []Origin
}

// A RealmPair lets one registry send its clients to a token endpoint on another
// origin. It is a pair because every registry could send its clients to a realm
// that is trusted for all, and get a signature there.
type RealmPair struct {
	Registry Origin `json:"registry"`
	Realm    Origin `json:"realm"`
}

// DefaultRealms returns the pairs that a Policy has when its Pairs is nil.
func DefaultRealms() []RealmPair {
	return []RealmPair{
		{Registry: httpsOrigin("registry.ollama.ai"), Realm: httpsOrigin("ollama.com")},
		{Registry: httpsOrigin("hf.co"), Realm: httpsOrigin("huggingface.co")},
	}
}

func httpsOrigin(host string) Origin { return Origin{"https", host, httpsPort} }

// CheckRealm returns the URL of realm, the token endpoint that a challenge names,
// if registry may have its challenge answered there. Errors are ErrRealm.
func (p Policy) CheckRealm(registry Origin, realm string) (*url.URL, error) {
	u, err := url.Parse(realm)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not a URL", ErrRealm)
	}
	to, err := OriginOf(u)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRealm, err)
	}
	if err := checkForm(u, realm); err != nil {
		return nil, err
	}
	if registry == (Origin{}) {
		return nil, fmt.Errorf("%w: the registry's origin is not known", ErrRealm)
	}
	if err := p.checkStep(registry, to); err != nil {
		return nil, err
	}
	if registry == to || slices.Contains(p.pairs(), RealmPair{registry, to}) {
		return u, nil
	}
	return nil, fmt.Errorf("%w: it is on another origin than the registry: if that is right, list the two as a pair", ErrRealm)
}

// CheckPlain returns ErrRealm for an http origin that is neither this machine nor
// in Insecure: no signature and no token may go there.
func (p Policy) CheckPlain(o Origin) error { return p.checkStep(o, o) }

func (p Policy) pairs() []RealmPair {
	if p.Pairs == nil {
		return DefaultRealms()
	}
	return p.Pairs
}

func checkForm(u *url.URL, realm string) error {
	switch {
	case u.User != nil:
		return fmt.Errorf("%w: it holds a user name", ErrRealm)
	case strings.Contains(realm, "#"):
		return fmt.Errorf("%w: it holds a fragment", ErrRealm)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: its query is malformed", ErrRealm)
	}
	if query.Has("ts") || query.Has("nonce") { // the server may read these and not ours
		return fmt.Errorf("%w: its query has a ts or nonce of its own", ErrRealm)
	}
	return nil
}

// checkStep allows http to this machine and to listed registries, and never a step
// down from https.
func (p Policy) checkStep(from, to Origin) error {
	switch {
	case to.scheme == "https":
		return nil
	case from.scheme == "https":
		return fmt.Errorf("%w: it steps down from https to http", ErrRealm)
	case from.isLoopback() && to.isLoopback(), slices.Contains(p.Insecure, from):
		return nil
	}
	return fmt.Errorf("%w: plain http to %s: use https, or list the registry as insecure", ErrRealm, to)
}

// The default ports of http and https (RFC 9110, section 4.2).
const (
	httpPort  = "80"
	httpsPort = "443"
)

// An Origin is the scheme, host and port of a server (RFC 6454, section 4). Two
// Origins are equal (==) if they name the same server by the same name: case,
// leading zeros and default ports make no difference, and neither do the spellings
// of an IPv6 address. A name in Unicode and its ASCII form are two names, and so are
// a name with and without a final dot. The zero value is no origin and is equal to
// no origin of a URL.
type Origin struct{ scheme, host, port string }

// ParseOrigin reads "https://host[:port]" or "http://host[:port]". A host alone
// means https. The errors do not repeat the text: somebody may have put a secret
// there by mistake.
func ParseOrigin(text string) (Origin, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Origin{}, errors.New("not an origin: want https://host or https://host:port")
	case u.User != nil:
		return Origin{}, errors.New("not an origin: it has a user name: want https://host or https://host:port")
	case strings.Trim(u.Path, "/") != "", strings.ContainsAny(text, "?#"):
		return Origin{}, errors.New("not an origin: leave out the text after the host and the port")
	case u.Host != printable.Text(u.Host):
		return Origin{}, errors.New("not an origin: its host has a character that is not printable")
	}
	return OriginOf(u)
}

// OriginOf returns the origin of u. It is an error if u has no host, or a scheme
// other than http and https, or a port above 65535.
func OriginOf(u *url.URL) (Origin, error) {
	o := Origin{lowerASCII(u.Scheme), lowerASCII(u.Hostname()), u.Port()}
	if o.scheme != "https" && o.scheme != "http" {
		return Origin{}, errors.New("not an origin: its scheme is not http or https")
	}
	if o.host == "" {
		return Origin{}, errors.New("not an origin: it has no host")
	}
	if strings.Contains(o.host, ":") { // an IPv6 address, which has many spellings
		ip, err := netip.ParseAddr(o.host)
		if err != nil {
			return Origin{}, errors.New("not an origin: its IPv6 address is malformed")
		}
		o.host = ip.String()
	}
	if o.port == "" {
		o.port = o.defaultPort()
		return o, nil
	}
	port, err := strconv.ParseUint(o.port, 10, 16)
	if err != nil {
		return Origin{}, errors.New("not an origin: its port is above 65535")
	}
	o.port = strconv.FormatUint(port, 10) // without leading zeros
	return o, nil
}

func (o Origin) defaultPort() string {
	if o.scheme == "http" {
		return httpPort
	}
	return httpsPort
}

// String returns o in the form that ParseOrigin reads, without a default port. It
// returns "" for the zero value.
func (o Origin) String() string {
	if o == (Origin{}) {
		return ""
	}
	return o.URL().String()
}

// MarshalText returns o.String(), so that JSON has an origin as a string.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// URL returns a new URL that has the scheme, host and port of o and nothing else.
// Host is in lower case and has no default port.
func (o Origin) URL() *url.URL {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port != o.defaultPort() {
		host += ":" + o.port
	}
	return &url.URL{Scheme: o.scheme, Host: host}
}

// isLoopback reports whether o names this machine: "localhost" or a loopback
// address. A name under localhost, such as "app.localhost", does not: most
// resolvers ask the DNS for it.
func (o Origin) isLoopback() bool {
	ip, _ := netip.ParseAddr(o.host) // the zero Addr is no loopback address
	return o.host == "localhost" || ip.IsLoopback()
}

// isUpgradedTo reports whether to is the same host over TLS, both on their
// default ports. Many servers redirect plain requests there.
func (o Origin) isUpgradedTo(to Origin) bool {
	return o == Origin{"http", to.host, httpPort} && to == Origin{"https", o.host, httpsPort}
}

// lowerASCII leaves other letters as they are: the lower case of some of them is
// an ASCII letter, and the result would name another host.
func lowerASCII(s string) string {
	isUpper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	for i := range len(s) {
		if isUpper(s[i]) {
			b := []byte(s)
			for ; i < len(b); i++ {
				if isUpper(b[i]) {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
