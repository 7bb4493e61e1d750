package challenge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge"
)

// ollamaLine is what registry.ollama.ai sends.
const ollamaLine = `Bearer realm="https://registry.ollama.ai/v2/token",service="ollama.com",scope="repository:library/llama3:pull"`

func header(lines ...string) http.Header { return http.Header{"Www-Authenticate": lines} }

// params makes a Challenge of pairs of name and value.
func params(scheme string, pairs ...string) challenge.Challenge {
	c := challenge.Challenge{Scheme: scheme}
	for i := 0; i < len(pairs); i += 2 {
		c.Params = append(c.Params, challenge.Param{Name: pairs[i], Value: pairs[i+1]})
	}
	return c
}

func token68(scheme, token string) challenge.Challenge {
	return challenge.Challenge{Scheme: scheme, Token68: token}
}

var wellFormed = []struct {
	name  string
	lines []string
	want  []challenge.Challenge
}{
	{"no line", nil, nil},
	{"empty line", []string{""}, nil},
	{"Ollama", []string{ollamaLine}, []challenge.Challenge{params("bearer",
		"realm", "https://registry.ollama.ai/v2/token", "service", "ollama.com", "scope", "repository:library/llama3:pull")}},
	{"RFC 9110, section 11.6.1", []string{`Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\""`}, []challenge.Challenge{
		params("basic", "realm", "simple"),
		params("newauth", "realm", "apps", "type", "1", "title", `Login to "apps"`),
	}},

	{"several lines", []string{"Negotiate", `Basic realm="a"`, `Bearer realm="b"`}, []challenge.Challenge{
		params("negotiate"), params("basic", "realm", "a"), params("bearer", "realm", "b"),
	}},
	{"several in a line", []string{`Negotiate, NTLM, Basic realm="a", Bearer realm="b",scope="c"`}, []challenge.Challenge{
		params("negotiate"), params("ntlm"), params("basic", "realm", "a"), params("bearer", "realm", "b", "scope", "c"),
	}},
	{"the same scheme and parameter again", []string{`Bearer realm="a", Bearer realm="b"`}, []challenge.Challenge{
		params("bearer", "realm", "a"), params("bearer", "realm", "b"),
	}},
	{"more parameters than usual", []string{`Bearer a=1,b=2,c=3,d=4,e=5`}, []challenge.Challenge{
		params("bearer", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5"),
	}},

	{"names in any case", []string{`bEARER Realm="A",SERVICE=B,ScOpE=c`}, []challenge.Challenge{
		params("bearer", "realm", "A", "service", "B", "scope", "c"),
	}},
	{"names of odd characters", []string{"!#$%&'*+-.^_`|~09Az !#$%&'*+-.^_`|~09Az=!#$%&'*+-.^_`|~09Az"}, []challenge.Challenge{
		params("!#$%&'*+-.^_`|~09az", "!#$%&'*+-.^_`|~09az", "!#$%&'*+-.^_`|~09Az"),
	}},
	{"single quotes are no quotes", []string{"Basic realm='foo'"}, []challenge.Challenge{params("basic", "realm", "'foo'")}},
	{"a parameter named in a value", []string{`Bearer realm="https://r/?service=x&scope=y",service=s`}, []challenge.Challenge{
		params("bearer", "realm", "https://r/?service=x&scope=y", "service", "s"),
	}},
	{"a name that ends like another", []string{`Bearer xrealm="no",realm="yes"`}, []challenge.Challenge{
		params("bearer", "xrealm", "no", "realm", "yes"),
	}},

	{"empty value", []string{`Bearer realm=""`}, []challenge.Challenge{params("bearer", "realm", "")}},
	{"quoted-pair", []string{`Bearer realm="\"a\\b\c\"\	"`}, []challenge.Challenge{params("bearer", "realm", "\"a\\bc\"\t")}},
	{"quoted-pair first", []string{`Bearer realm="\a"`}, []challenge.Challenge{params("bearer", "realm", "a")}},
	{"quoted-pair late", []string{`Bearer realm="0123456789\"0123456789"`}, []challenge.Challenge{params("bearer", "realm", `0123456789"0123456789`)}},
	{"challenge in quotes", []string{`Bearer realm="a, Basic realm=\"b\", c=d"`}, []challenge.Challenge{
		params("bearer", "realm", `a, Basic realm="b", c=d`),
	}},
	{"tab in quotes", []string{"Bearer realm=\"a\tb\t0123456789\t\""}, []challenge.Challenge{params("bearer", "realm", "a\tb\t0123456789\t")}},
	{"obs-text in quotes", []string{"Bearer realm=\"\x80caf\xc3\xa9 0123456789\xff\\\xff\""}, []challenge.Challenge{
		params("bearer", "realm", "\x80caf\xc3\xa9 0123456789\xff\xff"),
	}},

	{"white space before and after", []string{" \tBearer realm=a \t"}, []challenge.Challenge{params("bearer", "realm", "a")}},
	{"several spaces after the scheme", []string{"Bearer   realm=a"}, []challenge.Challenge{params("bearer", "realm", "a")}},
	{"white space about commas", []string{"Bearer a=b \t,\t c=\"d\"\t,\tBasic\t,Newauth"}, []challenge.Challenge{
		params("bearer", "a", "b", "c", "d"), params("basic"), params("newauth"),
	}},
	{"BWS about =", []string{"Bearer realm \t=\t \"a\", service= b,scope =c"}, []challenge.Challenge{
		params("bearer", "realm", "a", "service", "b", "scope", "c"),
	}},
	{"only commas", []string{" , ,\t,", ","}, nil},
	{"empty list elements", []string{`,, Basic ,, Bearer a=b ,	,, c=d,,`}, []challenge.Challenge{
		params("basic"), params("bearer", "a", "b", "c", "d"),
	}},
	{"empty first parameter", []string{`Bearer , realm="a"`}, []challenge.Challenge{params("bearer", "realm", "a")}},
	{"scheme and space, then another", []string{`Negotiate , Basic realm="a"`}, []challenge.Challenge{params("negotiate"), params("basic", "realm", "a")}},
	{"scheme and space", []string{"Negotiate "}, []challenge.Challenge{params("negotiate")}},
	{"a scheme named like a parameter", []string{`Bearer a=b, realm, realm realm="x"`}, []challenge.Challenge{
		params("bearer", "a", "b"), params("realm"), params("realm", "realm", "x"),
	}},

	{"token68", []string{"Negotiate YII+/9-._~aZ=="}, []challenge.Challenge{token68("negotiate", "YII+/9-._~aZ==")}},
	{"token68 like a parameter without value", []string{"Bearer realm="}, []challenge.Challenge{token68("bearer", "realm=")}},
	{"token68 like a scheme", []string{"Negotiate Basic"}, []challenge.Challenge{token68("negotiate", "Basic")}},
	{"token68 among others", []string{`Basic realm="a", Negotiate abc= ,NTLM TlRM, Bearer realm="b"`}, []challenge.Challenge{
		params("basic", "realm", "a"), token68("negotiate", "abc="), token68("ntlm", "TlRM"), params("bearer", "realm", "b"),
	}},
}

func TestParse(t *testing.T) {
	for _, tt := range wellFormed {
		t.Run(tt.name, func(t *testing.T) {
			got, err := challenge.Parse(header(tt.lines...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.lines, diff)
			}
		})
	}
}

// malformed lines, each with the offset at which it goes wrong. None may yield a
// challenge, hence no realm.
var malformed = []struct {
	line   string
	offset string
}{
	// No scheme.
	{`realm="x"`, "5"},
	{`=x`, "0"},
	{`"Bearer" realm="x"`, "0"},
	{`"Bearer realm=x"`, "0"},
	{`Bearer: realm="x"`, "6"},
	{`Bearer/1 realm="x"`, "6"},
	{`Bearer=realm="x"`, "6"},
	{`(comment) Bearer realm="x"`, "0"},
	{"\x00Bearer realm=\"x\"", "0"},
	{"\xef\xbb\xbfBearer realm=\"x\"", "0"},
	{`Bearer realm="x", @`, "18"},

	// No space, or not only spaces, between scheme and parameters.
	{`Bearer,realm="x"`, "12"},
	{`Bearer, realm="x"`, "13"},
	{"Bearer\trealm=\"x\"", "7"},
	{"Bearer \trealm=\"x\"", "8"},
	{"Bearer\nrealm=\"x\"", "6"},
	{"Bearer\u00a0realm=\"x\"", "6"},

	// Commas missing, or something else in their place.
	{`Bearer realm="x" service="y"`, "17"},
	{`Bearer realm=x service=y`, "15"},
	{`Bearer realm="x"service="y"`, "16"},
	{`Bearer realm="x"; service="y"`, "16"},
	{`Bearer realm="x"y`, "16"},
	{`Bearer realm=x"y"`, "14"},
	{`Bearer realm="x""y"`, "16"},
	{`Bearer Basic realm="x"`, "7"},
	{`Bearer realm="x" Basic realm="y"`, "17"},
	{"Bearer realm=\"x\"\r\n service=\"y\"", "16"},
	{"Bearer realm=\"x\"\x00", "16"},

	// Values missing or malformed.
	{`Bearer realm=,service="y"`, "21"},
	{`Bearer realm=, service="y"`, "22"},
	{`Bearer service="y", realm=`, "26"},
	{`Bearer realm =`, "14"},
	{`Bearer realm==x`, "13"},
	{`Bearer realm=="x"`, "13"},
	{`Bearer realm=x=`, "14"},
	{`Bearer realm=https://x/token`, "18"},
	{`Bearer realm=\"x\"`, "13"},
	{"Bearer realm=caf\xc3\xa9", "16"},
	{`Bearer ="x"`, "7"},
	{`Bearer "realm"="x"`, "7"},
	{`Bearer re alm="x"`, "7"},
	{`Bearer realm:"x"`, "7"},

	// Quotes.
	{`Bearer realm="x`, "15"},
	{`Bearer realm="`, "14"},
	{`Bearer realm="x\`, "15"},
	{`Bearer realm="x\"`, "17"},
	{`Bearer realm="x,service="y"`, "25"},
	{`Bearer realm="x", service="y`, "28"},
	{"Bearer realm=\"x\ny\"", "15"},
	{"Bearer realm=\"x\x00y\"", "15"},
	{"Bearer realm=\"x\x7fy\"", "15"},
	{"Bearer realm=\"x\x1b[2J\"", "15"},
	{"Bearer realm=\"x\\\ny\"", "15"},
	{"Bearer realm=\"0123456789\x7f0123456789\"", "24"},

	// Twice.
	{`Bearer realm="x",realm="y"`, "23"},
	{`Bearer realm="x",service=y,realm="x"`, "33"},
	{`Bearer realm="x",REALM="y"`, "23"},
	{`Bearer realm="x", service=y, SERVICE="y"`, "37"},

	// token68 is alone.
	{`Bearer abc, realm="x"`, "17"},
	{`Bearer abc== realm="x"`, "19"},
	{`Bearer abc=="x"`, "12"},
	{`Bearer =`, "7"},
	{`Bearer abc!`, "7"},
	{`Bearer a/b="x"`, "7"},

	// A realm or a service that is not exact, beside parameters that need not be.
	{`Bearer scope=a:b,realm=https://x/token`, "28"},
	{`Bearer scope=a:b,realm="x",service=a:b`, "36"},
	{`Bearer scope=a:b,realm="x",service=`, "35"},
	{`Bearer scope=a:b realm="x"`, "23"},
	{`Bearer scope=a"b, realm="x"`, "14"},
	{`Bearer scope=", realm="x"`, "23"},
	{`Bearer scope="a" b, realm="x"`, "17"},
	{"Bearer scope=a:b\x00, realm=\"x\"", "16"},
	{`Basic realm=/ Bearer realm="x"`, "27"},
	{`Basic realm="/, Bearer realm="x"`, "30"},
}

// Lines with mistakes that no realm and no service of a Bearer challenge depends on.
var tolerated = []struct {
	line  string
	want  []challenge.Challenge
	texts []string // of the mistakes, of all challenges
}{
	{
		`Bearer realm="r",service="s",scope=repository:a/b:pull`,
		[]challenge.Challenge{params("bearer", "realm", "r", "service", "s", "scope", "repository:a/b:pull")},
		[]string{"scope is not in quotes"},
	},
	{
		`Bearer scope=repository:a/b:pull,realm="r",service="s"`,
		[]challenge.Challenge{params("bearer", "scope", "repository:a/b:pull", "realm", "r", "service", "s")},
		[]string{"scope is not in quotes"},
	},
	{
		`Bearer realm="r",scope=repository:a:pull,push`, // the comma ends the value
		[]challenge.Challenge{params("bearer", "realm", "r", "scope", "repository:a:pull"), params("push")},
		[]string{"scope is not in quotes"},
	},
	{
		"Bearer scope=a:b c:d\t e , realm=r", // white space ends it
		[]challenge.Challenge{params("bearer", "scope", "a:b", "realm", "r")},
		[]string{"scope is not in quotes"},
	},
	{
		"Bearer scope=a:b realm=evil, realm=r",
		[]challenge.Challenge{params("bearer", "scope", "a:b", "realm", "r")},
		[]string{"scope is not in quotes"},
	},
	{
		"Bearer realm=r,scope=,error=",
		[]challenge.Challenge{params("bearer", "realm", "r", "scope", "", "error", "")},
		[]string{"scope is not in quotes", "error is not in quotes"},
	},
	{
		"Bearer realm=r,error_description=the token expired,scope=caf\xc3\xa9\\=x",
		[]challenge.Challenge{params("bearer", "realm", "r", "error_description", "the", "scope", "caf\xc3\xa9\\=x")},
		[]string{"error_description is not in quotes", "scope is not in quotes"},
	},
	{
		`Bearer scope="x", realm="y", SCOPE="x"`,
		[]challenge.Challenge{params("bearer", "realm", "y")},
		[]string{"scope is given more than once and was ignored"},
	},
	{
		`Basic charset="a",charset="b"`,
		[]challenge.Challenge{params("basic")},
		[]string{"charset is given more than once and was ignored"},
	},
	{
		`Bearer scope=a:b,realm="y",scope="z",error=1,error=2,error=3,scope=x`,
		[]challenge.Challenge{params("bearer", "realm", "y")},
		[]string{"scope is not in quotes", "error is given more than once and was ignored", "scope is given more than once and was ignored"},
	},
	{
		`Basic realm=/, Bearer realm="r"`,
		[]challenge.Challenge{params("basic", "realm", "/"), params("bearer", "realm", "r")},
		[]string{"realm is not in quotes"},
	},
	{
		`Basic realm=My Registry, Bearer realm="r"`,
		[]challenge.Challenge{params("basic", "realm", "My"), params("bearer", "realm", "r")},
		[]string{"realm is not in quotes"},
	},
	{
		`Bearer realm="r", Digest realm=/,realm=x,service=/,nonce="n"`,
		[]challenge.Challenge{params("bearer", "realm", "r"), params("digest", "service", "/", "nonce", "n")},
		[]string{"realm is not in quotes", "service is not in quotes", "realm is given more than once and was ignored"},
	},
}

func TestParseTolerates(t *testing.T) {
	for _, tt := range tolerated {
		t.Run("", func(t *testing.T) {
			got, err := challenge.Parse(header(tt.line))
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.line, err)
			}
			var texts []string
			for i := range got {
				texts = append(texts, got[i].Tolerated...)
				got[i].Tolerated = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.line, diff)
			}
			if diff := cmp.Diff(tt.texts, texts); diff != "" {
				t.Errorf("Parse(%q): mistakes (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func TestParseMalformed(t *testing.T) {
	for _, tt := range malformed {
		t.Run("", func(t *testing.T) {
			got, err := challenge.Parse(header(tt.line))
			if err == nil {
				t.Fatalf("Parse(%q) = %q, want an error", tt.line, got)
			}
			if got != nil {
				t.Errorf("Parse(%q) = %q, want no challenge", tt.line, got)
			}
			if want := "WWW-Authenticate line 1, offset " + tt.offset + ": "; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("Parse(%q): %q, want %q...", tt.line, err, want)
			}
		})
	}
}

func TestParseEveryByteInQuotes(t *testing.T) {
	for b := range 256 {
		allowed := b == '\t' || b >= ' ' && b != 0x7f && b != '"' && b != '\\'
		value := "x" + string([]byte{byte(b)}) + "y"
		all, err := challenge.Parse(header(`Bearer realm="` + value + `"`))
		if got := err == nil && all[0].Get("realm") == value; got != allowed {
			t.Errorf("byte %#x: accepted %v, want %v", b, got, allowed)
		}
	}
}

func TestParseKeepsTheOtherLines(t *testing.T) {
	good := []challenge.Challenge{params("bearer", "realm", "a"), params("basic", "realm", "b")}
	for _, tt := range malformed {
		got, err := challenge.Parse(header("Bearer realm=a", tt.line, "Basic realm=b"))
		if err == nil || !strings.HasPrefix(err.Error(), "WWW-Authenticate line 2, ") {
			t.Errorf("%q: error %v, want one about line 2", tt.line, err)
		}
		if diff := cmp.Diff(good, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.line, diff)
		}
	}
}

func TestParseNamesEveryMalformedLine(t *testing.T) {
	_, err := challenge.Parse(header("Bearer\x1b[2J", "Basic", `Bearer realm="secret`))
	want := "WWW-Authenticate line 1, offset 6: want a comma or the end of the line\n" +
		"WWW-Authenticate line 3, offset 20: the quoted string does not end"
	if err == nil || err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestParseLimits(t *testing.T) {
	line := `Bearer realm="` + strings.Repeat("x", maxLine-len(`Bearer realm=""`)) + `"`
	if _, err := challenge.Parse(header(line)); err != nil {
		t.Errorf("line of %d bytes: %v", len(line), err)
	}
	for _, beside := range [][]string{nil, {"Basic"}} {
		got, err := challenge.Parse(header(append([]string{line + " "}, beside...)...))
		if err == nil || !strings.Contains(err.Error(), "line 1, offset 8192: more than 8 KiB") {
			t.Errorf("line of %d bytes: error %v", len(line)+1, err)
		}
		if len(got) != len(beside) {
			t.Errorf("line of %d bytes, and %q: got %d challenges", len(line)+1, beside, len(got))
		}
	}

	lines := strings.Split(strings.Repeat("Basic,", 8)+"Bearer", ",")
	got, err := challenge.Parse(header(lines...))
	if err == nil || !strings.Contains(err.Error(), "line 9 ") {
		t.Errorf("%d lines: error %v", len(lines), err)
	}
	if len(got) != 8 {
		t.Errorf("%d lines: %d challenges, want 8", len(lines), len(got))
	}
}

func TestGet(t *testing.T) {
	c := params("bearer", "realm", "a", "scope", "")
	for name, want := range map[string]string{"realm": "a", "REALM": "a", "scope": "", "service": "", "": ""} {
		if got := c.Get(name); got != want {
			t.Errorf("Get(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestParseAllocations(t *testing.T) {
	h := header(ollamaLine)
	var kept []challenge.Challenge
	if n := testing.AllocsPerRun(100, func() { kept, _ = challenge.Parse(h) }); n > 3 {
		t.Errorf("%v allocations, want at most 3", n)
	}
	if kept[0].Get("realm") == "" {
		t.Error("no realm")
	}
}

func BenchmarkParse(b *testing.B) {
	h := header(ollamaLine)
	b.ReportAllocs()
	for b.Loop() {
		all, err := challenge.Parse(h)
		if err != nil || all[0].Get("realm") == "" {
			b.Fatal(err)
		}
	}
}
