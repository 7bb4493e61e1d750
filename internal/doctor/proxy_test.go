package doctor

import (
	"context"
	"strings"
	"testing"
)

func TestProxyCheck(t *testing.T) {
	for value, want := range map[string]string{
		"":                                  "",
		"http://proxy.example.com:3128":     "",
		"http://user:pa%23ss@proxy:3128/":   "",
		"https://proxy":                     "",
		"socks5://127.0.0.1:1080":           "",
		"proxy:3128":                        "", // package net/http puts http:// before it
		"proxy.example.com":                 "",
		"127.0.0.1:3128":                    "",
		"[::1]:3128":                        "",
		"http//user:secret@proxy:3128":      "no URL of a proxy",
		"http:/user:secret@proxy:3128":      "no URL of a proxy",
		"http://user:secret@proxy:port":     "no URL of a proxy",
		"http://user:secret@proxy:99999":    "no URL of a proxy",
		"http://user:secret@:3128":          "no URL of a proxy",
		"'http://user:secret@proxy:3128'":   "no URL of a proxy",
		"http://user:secret@my proxy:3128":  "no URL of a proxy",
		"ftp://user:secret@proxy:3128":      "the scheme",
		"http://user:sec#secret@proxy:3128": "no URL of a proxy",
		"http://user:secret@proxy:3128/x":   "no URL of a proxy",
		"none":                              "",
	} {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
			found := runProxyCheck(map[string]string{name: value})
			if (len(found) > 0) != (want != "") {
				t.Errorf("%s=%q: found %+v, want %q", name, value, found, want)
			}
			for _, f := range found {
				want := strings.Replace(want, "the scheme", "its scheme", 1)
				if f.State != Problem || f.About != name || !strings.Contains(f.Seen, want) || f.Do == "" {
					t.Errorf("%s=%q: found %+v, want %q", name, value, f, want)
				}
				if strings.Contains(f.Seen+f.Do, "secret") {
					t.Errorf("%s=%q: the finding has the password in it: %+v", name, value, f)
				}
			}
		}
	}
	for value, want := range map[string]int{"localhost,.example.com,10.0.0.0/8": 0, "*": 0, "http://user:secret@host": 1} {
		if found := runProxyCheck(map[string]string{"no_proxy": value}); len(found) != want {
			t.Errorf("no_proxy=%q: found %+v", value, found)
		}
	}
	// The variable in capitals has precedence, and the other one is not looked at.
	if found := runProxyCheck(map[string]string{"HTTPS_PROXY": "http://proxy:1", "https_proxy": "http//proxy"}); len(found) > 0 {
		t.Errorf("a variable without effect: found %+v", found)
	}
}

func runProxyCheck(env map[string]string) []Finding {
	return proxyCheck{func(name string) string { return env[name] }}.Run(context.Background())
}
