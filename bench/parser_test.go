package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker/auth"

	"github.com/countersign/countersign/challenge"
)

// A parseFunc reads from WWW-Authenticate what a token is asked for with, out of
// the first Bearer challenge that it finds.
type parseFunc struct {
	name  string
	parse func(http.Header) (realm, service, scope string)
}

// parsers are all there are: two have exported functions, and go run adds those
// of the peers who keep theirs to themselves.
func parsers() []parseFunc {
	return slices.Concat([]parseFunc{{ours, parseOurs}, {"containerd", parseContainerd}}, privateParsers)
}

func parseOurs(h http.Header) (realm, service, scope string) {
	all, _ := challenge.Parse(h)
	for i := range all {
		if c := &all[i]; c.Scheme == "bearer" {
			return c.Get("realm"), c.Get("service"), c.Get("scope")
		}
	}
	return "", "", ""
}

func parseContainerd(h http.Header) (realm, service, scope string) {
	for _, c := range auth.ParseAuthHeader(h) {
		if c.Scheme == auth.BearerAuth {
			return c.Parameters["realm"], c.Parameters["service"], c.Parameters["scope"]
		}
	}
	return "", "", ""
}

// realm is what p finds in lines.
func (p parseFunc) realm(lines ...string) (realm string) {
	defer func() {
		if recover() != nil {
			realm = panicked
		}
	}()
	realm, _, _ = p.parse(http.Header{"Www-Authenticate": lines})
	return realm
}

const panicked = "panic"

const ollamaLine = `Bearer realm="https://registry.ollama.ai/v2/token",service="ollama.com",scope="repository:library/llama3:pull"`

// A header is one case of parsing, with the realm of its Bearer challenge: "" if RFC
// 9110 finds none.
type header struct {
	name  string
	lines []string
	realm string
}

var headers = []header{
	{"what registry.ollama.ai sends", []string{ollamaLine}, "https://registry.ollama.ai/v2/token"},
	{"several lines", []string{"Negotiate", `Basic realm="b"`, `Bearer realm="https://r/t",service="s"`}, "https://r/t"},
	{"several challenges in a line", []string{`Negotiate, Basic realm="b", Bearer realm="https://r/t",service="s"`}, "https://r/t"},
	{"quoted-pair", []string{`Bearer realm="https://r/t?q=\"\x\"",service="s"`}, `https://r/t?q="x"`},
	{"token68 beside it", []string{`Negotiate YII==, Bearer realm="https://r/t"`}, "https://r/t"},
	{"token68 like a realm", []string{"Bearer realm="}, ""},
	{"names in any case", []string{`bEARER Realm="https://r/t",SERVICE="s"`}, "https://r/t"},
	{"white space about =", []string{`Bearer realm = "https://r/t", service = "s"`}, "https://r/t"},
	{"a realm twice", []string{`Bearer realm="https://r/1",realm="https://r/2"`}, ""},
	{"a scope twice", []string{`Bearer realm="https://r/t",service="s",scope="a",scope="b"`}, "https://r/t"},
	{"a scope without quotes", []string{`Bearer realm="https://r/t",service="s",scope=repository:a/b:pull`}, "https://r/t"},
	{"a realm of Basic without quotes", []string{`Basic realm=/, Bearer realm="https://r/t"`}, "https://r/t"},
}

// result tells how p parses h.
func (h header) result(p parseFunc) (result string, right bool) {
	got := p.realm(h.lines...)
	switch {
	case got == h.realm:
		return "yes", true
	case got == panicked:
		return panicked, false
	case h.realm == "":
		return "guesses", false
	}
	return "no", false
}

// countMalformed counts the malformed lines in which p finds a realm all the same.
func countMalformed(p parseFunc) (result string, right bool) {
	found, panics := 0, 0
	for _, line := range malformed {
		switch p.realm(line) {
		case "":
		case panicked:
			panics++
		default:
			found++
		}
	}
	if panics > 0 {
		return fmt.Sprintf("%d, %d panics", found, panics), false
	}
	return fmt.Sprint(found), found == 0
}

// TestParsers holds ours to every result, and logs how the peers fare.
func TestParsers(t *testing.T) {
	for _, p := range parsers() {
		for _, h := range headers {
			result, right := h.result(p)
			t.Logf("%s: %s: %s", p.name, h.name, result)
			if p.name == ours && !right {
				t.Errorf("%q: the realm is %q, want %q", h.lines, p.realm(h.lines...), h.realm)
			}
		}
		result, right := countMalformed(p)
		t.Logf("%s: of %d malformed lines, a realm in %s", p.name, len(malformed), result)
		if p.name == ours && !right {
			t.Error("a realm in a malformed line is a guess")
		}
	}
}

// malformed lines, none of which RFC 9110 allows: no guess is right.
var malformed = []string{
	`realm="x"`,
	`"Bearer" realm="x"`,
	`Bearer: realm="x"`,
	`Bearer/1 realm="x"`,
	`Bearer=realm="x"`,
	`(comment) Bearer realm="x"`,
	"\x00Bearer realm=\"x\"",
	"\xef\xbb\xbfBearer realm=\"x\"",
	`Bearer realm="x", @`,
	`Bearer,realm="x"`,
	"Bearer\trealm=\"x\"",
	"Bearer\nrealm=\"x\"",
	"Bearer\u00a0realm=\"x\"",
	`Bearer realm="x" service="y"`,
	`Bearer realm=x service=y`,
	`Bearer realm="x"service="y"`,
	`Bearer realm="x"; service="y"`,
	`Bearer realm="x"y`,
	`Bearer realm=x"y"`,
	`Bearer realm="x""y"`,
	`Bearer Basic realm="x"`,
	`Bearer realm="x" Basic realm="y"`,
	"Bearer realm=\"x\"\r\n service=\"y\"",
	"Bearer realm=\"x\"\x00",
	`Bearer service="y", realm=`,
	`Bearer realm =`,
	`Bearer realm==x`,
	`Bearer realm=x=`,
	`Bearer realm=https://x/token`,
	`Bearer realm=\"x\"`,
	"Bearer realm=caf\xc3\xa9",
	`Bearer "realm"="x"`,
	`Bearer re alm="x"`,
	`Bearer realm:"x"`,
	`Bearer realm="x`,
	`Bearer realm="x\"`,
	`Bearer realm="x,service="y"`,
	`Bearer realm="x", service="y`,
	"Bearer realm=\"x\ny\"",
	"Bearer realm=\"x\x00y\"",
	"Bearer realm=\"x\x1b[2J\"",
	`Bearer realm="x",service=y,realm="x"`,
	`Bearer abc, realm="x"`,
	`Bearer abc== realm="x"`,
	`Bearer abc!, realm="x"`,
	`Bearer a/b="x", realm="x"`,
	`Bearer service=, realm="x"`,
}
