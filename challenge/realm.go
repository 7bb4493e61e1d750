package challenge

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// ErrRealm: the realm policy refused to answer. No key was touched.
var ErrRealm = errors.New("realm refused")

// A RealmPair lets one registry send its clients to a token endpoint on another
// origin. It is a pair because a realm that were trusted for every registry
// would let any of them have it sign. Both are origins, "https://host[:port]";
// a host alone means https.
type RealmPair struct{ Registry, Realm string }

// DefaultRealms returns the pairs that a Client uses when its Realms is nil.
func DefaultRealms() []RealmPair {
	return []RealmPair{
		{Registry: "https://registry.ollama.ai", Realm: "https://ollama.com"},
		{Registry: "https://hf.co", Realm: "https://huggingface.co"},
	}
}

// realmPolicy decides, before any key is touched, whether a registry may have
// its realm answered.
type realmPolicy struct {
	pairs    []RealmPair
	insecure []string
}

// check returns the realm's URL if registry may have it answered.
func (p realmPolicy) check(registry *url.URL, realm string) (*url.URL, error) {
	u, err := url.Parse(realm)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no URL", ErrRealm)
	}
	if err := checkForm(u, realm); err != nil {
		return nil, err
	}
	from, err := originOf(registry)
	if err != nil {
		return nil, err
	}
	to, err := originOf(u)
	if err != nil {
		return nil, err
	}
	if err := p.checkPlain(from, to); err != nil {
		return nil, err
	}
	if from == to {
		return u, nil
	}
	for _, pair := range p.pairs {
		listed, err := pair.matches(from, to)
		if err != nil {
			return nil, err
		}
		if listed {
			return u, nil
		}
	}
	return nil, fmt.Errorf("%w: it is on another origin than the registry: if that is right, list the two as a pair", ErrRealm)
}

func checkForm(u *url.URL, realm string) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return fmt.Errorf("%w: it is not an absolute http or https URL", ErrRealm)
	case u.User != nil:
		return fmt.Errorf("%w: it holds a user name", ErrRealm)
	case strings.Contains(realm, "#"):
		return fmt.Errorf("%w: it holds a fragment", ErrRealm)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: its query is malformed", ErrRealm)
	}
	if query.Has("ts") || query.Has("nonce") { // ours would not be the first, and so not the one that counts
		return fmt.Errorf("%w: its query has a ts or nonce of its own", ErrRealm)
	}
	return nil
}

// checkPlain allows http to this machine and to registries that were configured
// so, and never as a step down from https.
func (p realmPolicy) checkPlain(from, to origin) error {
	if to.scheme == "https" {
		return nil
	}
	if from.scheme == "https" {
		return fmt.Errorf("%w: it steps down from https to http", ErrRealm)
	}
	if from.isLoopback() && to.isLoopback() {
		return nil
	}
	for _, s := range p.insecure {
		o, err := parseOrigin(s, "http")
		if err != nil {
			return fmt.Errorf("list of insecure registries: %w", err)
		}
		if o.host == from.host && o.port == from.port {
			return nil
		}
	}
	return fmt.Errorf("%w: plain http to %s: use https, or list the registry as insecure", ErrRealm, to)
}

func (pair RealmPair) matches(from, to origin) (bool, error) {
	registry, err := parseOrigin(pair.Registry, "https")
	if err != nil {
		return false, fmt.Errorf("pair of registry and realm: %w", err)
	}
	realm, err := parseOrigin(pair.Realm, "https")
	if err != nil {
		return false, fmt.Errorf("pair of registry and realm: %w", err)
	}
	return registry == from && realm == to, nil
}

// An origin is a scheme, host and port that compare as RFC 6454, section 4,
// says. A host compares as written, but for case and the forms of an IPv6
// address: internationalised and fully qualified spellings are other hosts.
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) (origin, error) {
	o := origin{lowerASCII(u.Scheme), lowerASCII(u.Hostname()), u.Port()}
	if o.host == "" {
		return origin{}, fmt.Errorf("%w: a URL without a host", ErrRealm)
	}
	if strings.Contains(o.host, ":") { // IPv6 has many spellings
		if ip, err := netip.ParseAddr(o.host); err == nil {
			o.host = ip.String()
		}
	}
	if o.port == "" {
		switch o.scheme {
		case "https":
			o.port = "443"
		case "http":
			o.port = "80"
		}
	}
	return o, nil
}

// lowerASCII leaves other letters as they are: Unicode has some whose lower case
// is in ASCII, and they name another host.
func lowerASCII(s string) string {
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

func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }

// parseOrigin reads "scheme://host[:port]", or "host[:port]" with the scheme
// given.
func parseOrigin(s, scheme string) (origin, error) {
	if !strings.Contains(s, "://") {
		s = scheme + "://" + s
	}
	u, err := url.Parse(s)
	if err != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return origin{}, fmt.Errorf("%q is no origin: want https://host or https://host:port", s)
	}
	return originOf(u)
}

func (o origin) isLoopback() bool {
	ip, err := netip.ParseAddr(o.host)
	return o.host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (o origin) String() string { return o.url().String() }

func (o origin) url() *url.URL {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if !(o.scheme == "https" && o.port == "443" || o.scheme == "http" && o.port == "80") {
		host += ":" + o.port
	}
	return &url.URL{Scheme: o.scheme, Host: host}
}

// isUpgradedTo reports whether to is the same host over TLS, where servers
// redirect plain requests.
func (o origin) isUpgradedTo(to origin) bool {
	return o == origin{"http", to.host, "80"} && to == origin{"https", o.host, "443"}
}
