package config

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/countersign/countersign/challenge"
)

// A site is a registry as the file names it, by "host" or "host:port". The name
// stands for an https origin, and for an http origin if the registry may use that.
type site struct{ secure, plain challenge.Origin }

// parseSite reads "host" or "host:port".
func parseSite(name string) (site, error) {
	if strings.Contains(name, "://") {
		return site{}, fmt.Errorf("%s is a URL: a registry is named by its host, or host:port", quote(name))
	}
	secure, err := challenge.ParseOrigin(name)
	if err != nil || strings.Contains(name, "/") {
		return site{}, fmt.Errorf("%s is not a registry: name it by its host, or host:port", quote(name))
	}
	plain, err := challenge.ParseOrigin("http://" + secure.URL().Host)
	return site{secure, plain}, err
}

// String returns the name in normal form: the host in lower case, and the port
// unless it is that of https.
func (s site) String() string { return s.secure.URL().Host }

// section returns the file's section for the registry at u, or an empty one.
func (c *Config) section(u *url.URL) *section {
	if u == nil {
		return &section{}
	}
	o, err := challenge.OriginOf(u)
	if err != nil {
		return &section{}
	}
	if s := c.origins[o]; s != nil {
		return s
	}
	return &section{}
}

// addOrigins makes s the section of the origins that name stands for. Both "host"
// and "host:80" stand for http://host: the name with the port has precedence.
func (c *Config) addOrigins(s *section) {
	c.origins[s.site.secure] = s
	plain := []challenge.Origin{s.site.plain}
	if o, err := challenge.ParseOrigin("http://" + s.name); err == nil {
		plain = append(plain, o)
	}
	for _, o := range plain {
		if c.origins[o] == nil || s.site.secure.URL().Port() != "" {
			c.origins[o] = s
		}
	}
}
