package challenge_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge"
)

// maxLine is the longest line that Parse takes.
const maxLine = 8 << 10

// grammar is the field value of RFC 9110, section 11.6.1, over runes that each
// stand for one byte: it accepts the same lines as Parse by other means.
var grammar = func() *regexp.Regexp {
	list := func(element string) string { return `(?:` + element + `)?(?:[ \t]*,[ \t]*(?:` + element + `)?)*` }
	const (
		token   = "[-!#$%&'*+.^_`|~0-9A-Za-z]+"
		token68 = `[-._~+/0-9A-Za-z]+=*`
		qdtext  = `[\t \x21\x23-\x5b\x5d-\x7e\x{80}-\x{ff}]`
		pair    = `\\[\t \x21-\x7e\x{80}-\x{ff}]`
		param   = token + `[ \t]*=[ \t]*(?:` + token + `|"(?:` + qdtext + `|` + pair + `)*")`
	)
	challenge := token + `(?: +(?:` + token68 + `|` + list(param) + `))?`
	return regexp.MustCompile(`^[ \t]*` + list(challenge) + `[ \t]*$`)
}()

// inGrammar reports whether line is in the grammar, apart from parameters that
// come twice.
func inGrammar(line string) bool {
	var runes []rune
	for i := range len(line) {
		runes = append(runes, rune(line[i]))
	}
	return grammar.MatchString(string(runes))
}

func FuzzParse(f *testing.F) {
	for _, tt := range wellFormed {
		f.Add(strings.Join(tt.lines, ", "), ollamaLine)
	}
	for _, tt := range malformed {
		f.Add(tt.line, "Basic realm=x")
	}
	for _, tt := range tolerated {
		f.Add(tt.line, ollamaLine)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		checkGrammar(t, first)
		all, err := challenge.Parse(header(first, second))
		for _, c := range all {
			checkForm(t, c)
			checkExact(t, c, first+"\n"+second)
			c.Tolerated = nil // it is in no header
			again, err := challenge.Parse(header(format(c)))
			if err != nil {
				t.Fatalf("%s: %v", c, err)
			}
			if diff := cmp.Diff([]challenge.Challenge{c}, again); diff != "" {
				t.Fatalf("%s, printed and parsed (-want +got):\n%s", c, diff)
			}
		}
		if err != nil {
			checkText(t, err.Error())
			return
		}
		if len(first)+len(second) > maxLine-len(", ") {
			return
		}
		joined, err := challenge.Parse(header(first + ", " + second))
		if err != nil {
			t.Fatalf("the lines joined: %v", err)
		}
		if diff := cmp.Diff(all, joined); diff != "" {
			t.Fatalf("the lines joined (-apart +joined):\n%s", diff)
		}
	})
}

// checkGrammar checks that Parse accepts a line without mistakes if and only if it is
// in the grammar of RFC 9110.
func checkGrammar(t *testing.T, line string) {
	t.Helper()
	if len(line) > maxLine {
		return
	}
	all, err := challenge.Parse(header(line))
	got := err == nil
	for _, c := range all {
		for _, text := range c.Tolerated {
			got = got && strings.HasSuffix(text, " and was ignored")
		}
	}
	if twice := err != nil && strings.HasSuffix(err.Error(), "a second value for the same parameter"); twice {
		return
	}
	if want := inGrammar(line); got != want {
		t.Errorf("Parse(%q): %q, error %v, but in the grammar: %v", line, all, err, want)
	}
}

// exact is a realm or service as RFC 9110 has it.
var exact = regexp.MustCompile(`(?is)^(realm|service)[ \t]*=[ \t]*([-!#$%&'*+.^_|~0-9a-z` + "`" + `]+|"(?:[^"\\]|\\.)*")`)

// checkExact checks that the realm and the service of a Bearer challenge are in the
// lines as a token or in quotes.
func checkExact(t *testing.T, c challenge.Challenge, lines string) {
	t.Helper()
	if c.Scheme != "bearer" {
		return
	}
	for _, p := range c.Params {
		if p.Name != "realm" && p.Name != "service" {
			continue
		}
		found := false
		for at := range lines { // also matches that overlap
			if len(lines[at:]) < len(p.Name) || !strings.EqualFold(lines[at:at+len(p.Name)], p.Name) {
				continue
			}
			m := exact.FindStringSubmatch(lines[at:])
			found = found || m != nil && strings.EqualFold(m[1], p.Name) && unquote(m[2]) == p.Value
		}
		if !found {
			t.Errorf("%q: the %s %q is not exact", lines, p.Name, p.Value)
		}
	}
}

var quotedPair = regexp.MustCompile(`(?s)\\(.)`)

func unquote(value string) string {
	if !strings.HasPrefix(value, `"`) {
		return value
	}
	return quotedPair.ReplaceAllString(value[1:len(value)-1], "$1")
}

// checkForm checks what the doc comment of Challenge promises.
func checkForm(t *testing.T, c challenge.Challenge) {
	t.Helper()
	if c.Scheme == "" || c.Scheme != strings.ToLower(c.Scheme) {
		t.Errorf("scheme %q is not in lower case", c.Scheme)
	}
	if c.Token68 != "" && c.Params != nil {
		t.Errorf("%q has a token68 and parameters", c)
	}
	var names []string
	for _, p := range c.Params {
		if p.Name == "" || p.Name != strings.ToLower(p.Name) {
			t.Errorf("name %q is not in lower case", p.Name)
		}
		if slices.Contains(names, p.Name) {
			t.Errorf("name %q comes twice", p.Name)
		}
		names = append(names, p.Name)
		if strings.ContainsFunc(p.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			t.Errorf("value %q has a control character", p.Value)
		}
	}
}

// checkText checks that an error can be shown on a terminal.
func checkText(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
		t.Errorf("error %q echoes what it should not", text)
	}
}

// format returns c as a server may send it, with every value in quotes.
func format(c challenge.Challenge) string {
	line := c.Scheme
	if c.Token68 != "" {
		line += " " + c.Token68
	}
	sep := " "
	for _, p := range c.Params {
		line += sep + p.Name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p.Value) + `"`
		sep = ", "
	}
	return line
}
