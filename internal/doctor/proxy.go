package doctor

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A proxyCheck looks at the variables that name proxies. Package net/http uses no proxy
// and tells nobody if such a variable is no URL.
type proxyCheck struct{ getenv func(string) string } // nil means an empty environment

func (proxyCheck) Subject() Subject { return Subject{Check: "proxy"} }

func (c proxyCheck) Run(context.Context) []Finding {
	var found []Finding
	if c.getenv == nil {
		return nil
	}
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} {
		// In this order, as golang.org/x/net/http/httpproxy has it.
		for _, name := range []string{name, strings.ToLower(name)} {
			value := c.getenv(name)
			if value == "" {
				continue
			}
			if problem := explainProxy(name, value); problem != "" {
				s := Subject{"proxy", name}
				found = append(found, s.found(Problem, problem, "correct the variable, or unset it"))
			}
			break
		}
	}
	return found
}

// explainProxy returns why the value of a variable cannot be used, or "". It repeats
// nothing of the value, which may have a password in any part.
func explainProxy(name, value string) string {
	if strings.EqualFold(name, "NO_PROXY") {
		if strings.Contains(value, "://") {
			return "it holds a URL, which has no effect: want hosts with commas between them, such as localhost,.example.com"
		}
		return ""
	}
	const want = "want http://HOST:PORT"
	u, err := url.Parse(value)
	withoutScheme := err != nil || u.Scheme == "" || u.Host == "" // "host:port" means http
	if withoutScheme {
		u, err = url.Parse("http://" + value)
	}
	switch {
	case err != nil || !isHostPort(u) || withoutScheme && u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "it is no URL of a proxy: " + want + "; in a password write /, ? and # as %2F, %3F and %23"
	case !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
		return "its scheme is that of no proxy: " + want
	}
	return ""
}

func isHostPort(u *url.URL) bool {
	_, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16)
	return err == nil && u.Hostname() != "" && !strings.ContainsAny(u.Hostname(), " \t\"'")
}
