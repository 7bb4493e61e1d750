package challenge

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/printable"
)

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
	b := []byte(s)
	for i := range b {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}
