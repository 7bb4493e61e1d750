package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

var errOrigin = errors.New("its audience is the origin of the token endpoint, such as https://registry.example.com")

// maxAudience is the longest audience that a Purpose can name, in bytes.
const maxAudience = 300

// ParsePurpose reads a purpose as a person writes it: the name of a protocol, and for
// ollama.registry and sshsig the audience after a space if there is one. It returns
// an origin in its normal form, without a default port.
func ParsePurpose(text string) (Purpose, error) {
	name, audience, limited := strings.Cut(text, " ")
	p, known := protocolNamed(Purpose(name))
	switch {
	case !known:
		return "", errors.New("unknown purpose")
	case !limited:
		return p.purpose, nil
	case p.parseAudience == nil:
		return "", fmt.Errorf("%s has no audience: its texts name none", p.purpose)
	}
	audience, err := p.parseAudience(audience)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.purpose, err)
	}
	return p.purpose.For(audience), nil
}

// Purposes returns all purposes, without audiences.
func Purposes() []Purpose {
	var all []Purpose
	for _, p := range protocols {
		all = append(all, p.purpose)
	}
	return append(all, Raw)
}

// For returns the purpose p for one audience.
func (p Purpose) For(audience string) Purpose { return p + " " + Purpose(audience) }

// Protocol returns p without its audience.
func (p Purpose) Protocol() Purpose {
	name, _, _ := strings.Cut(string(p), " ")
	return Purpose(name)
}

// AudienceOf returns the audience that msg names: the origin of a token endpoint,
// such as "https://registry.example.com", or the namespace of an SSHSIG, such as
// "git". It returns "" if msg names none, or one that no Purpose can name.
func AudienceOf(msg []byte) string { return protocolOf(msg).audienceOf(msg) }

func (p protocol) audienceOf(msg []byte) string {
	if p.audience == nil {
		return ""
	}
	return p.audience(msg)
}

func protocolNamed(name Purpose) (protocol, bool) {
	for _, p := range protocols {
		if p.purpose == name {
			return p, true
		}
	}
	return protocol{purpose: Raw}, name == Raw
}

// registryAudience returns the origin in the text of a token request.
func registryAudience(msg []byte) string {
	u, _ := url.Parse(strings.TrimPrefix(string(msg), "GET,")) // isTokenRequest parsed it, and the hash is behind the query
	origin, _ := originOf(u)                                   // "" with an error
	return origin
}

// parseOrigin reads "https://host[:port]" or "http://host[:port]".
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", errOrigin
	}
	return originOf(u)
}

// originOf returns the normal form of an origin. Package challenge has a type for it; a
// test compares the two.
func originOf(u *url.URL) (string, error) {
	o := url.URL{Scheme: u.Scheme, Host: lowerASCII(u.Hostname())}
	if o.Scheme != "https" && o.Scheme != "http" || o.Host == "" || len(o.Host) > maxAudience {
		return "", errOrigin
	}
	if strings.Contains(o.Host, ":") { // an IPv6 address, which has many spellings
		ip, err := netip.ParseAddr(o.Host)
		if err != nil {
			return "", errOrigin
		}
		o.Host = "[" + ip.String() + "]"
	}
	if u.Port() == "" {
		return o.String(), nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return "", errOrigin
	}
	if isDefault := o.Scheme == "https" && port == 443 || o.Scheme == "http" && port == 80; !isDefault {
		o.Host += ":" + strconv.FormatUint(port, 10)
	}
	return o.String(), nil
}

// lowerASCII leaves other letters as they are: the lower case of some of them is an
// ASCII letter, and the result would name another host.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// namespaceOf returns the namespace in the text of an SSHSIG (PROTOCOL.sshsig,
// "Signed Data").
func namespaceOf(msg []byte) string {
	namespace, _, _ := wireString(msg[len("SSHSIG"):]) // nil if there is none
	name, _ := parseNamespace(string(namespace))       // "" with an error
	return name
}

func parseNamespace(text string) (string, error) {
	if text == "" || !isGraphic(text) || len(text) > maxAudience {
		return "", errors.New("its audience is a namespace, such as git or file")
	}
	return text, nil
}
