package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A site is a registry as the file names it: the host in lower case and the
// port.
type site struct{ host, port string }

var defaultPorts = map[string]string{"https": "443", "http": "80"}

func siteOf(u *url.URL) site {
	s := site{strings.Map(lowerASCII, u.Hostname()), u.Port()}
	if ip, err := netip.ParseAddr(s.host); err == nil {
		s.host = ip.String()
	}
	if s.port == "" {
		s.port = defaultPorts[strings.ToLower(u.Scheme)]
	}
	return s
}

// lowerASCII leaves other letters alone: the lower case of some of them is in
// ASCII, and so would name another host.
func lowerASCII(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// parseSite reads "host" or "host:port".
func parseSite(name string) (site, error) {
	if strings.Contains(name, "://") {
		return site{}, fmt.Errorf("%s is a URL: a registry is named by its host, or host:port", quote(name))
	}
	u, err := url.Parse("https://" + name)
	if err != nil || u.Host != name || u.Hostname() == "" || !isPrintable(name) {
		return site{}, fmt.Errorf("%s is no registry: name it by its host, or host:port", quote(name))
	}
	return siteOf(u), nil
}

// isPrintable reports whether name can be shown as it is. Package url refuses
// control characters of ASCII, but neither the others nor what turns the
// direction of writing, so that one name looks like another.
func isPrintable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// String leaves out the port of https.
func (s site) String() string {
	if s.port != "443" {
		return net.JoinHostPort(s.host, s.port)
	}
	if strings.Contains(s.host, ":") {
		return "[" + s.host + "]"
	}
	return s.host
}

// isLoopback reports whether this machine is meant, which may use plain http.
func (s site) isLoopback() bool {
	ip, err := netip.ParseAddr(s.host)
	return s.host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// section returns what the file says of the registry at u, or an empty section.
// A name without a port means the default one, which http has too.
func (c *Config) section(u *url.URL) *section {
	if u == nil {
		return &section{}
	}
	s := siteOf(u)
	if found := c.registries[s.String()]; found != nil {
		return found
	}
	if found := c.registries[site{s.host, "443"}.String()]; found != nil && s.port == defaultPorts["http"] && strings.EqualFold(u.Scheme, "http") {
		return found
	}
	return &section{}
}

// parseOrigin reads "https://host[:port]", or a host alone, which means https.
func parseOrigin(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Host == "", u.Hostname() == "", u.User != nil, !isPrintable(u.Host):
		return "", errors.New("a realm is an origin, such as https://login.example.com")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("a realm is an origin of https, or of http where the registry is one of http too")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", errors.New("a realm is an origin: leave out what follows the host and the port")
	}
	return u.Scheme + "://" + u.Host, nil
}
