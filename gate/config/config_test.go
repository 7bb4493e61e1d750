package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const good = `listen = ["127.0.0.1:8080"]
[keys]
authorized = "authorized_keys"
[[site]]
origin = "https://reg.example"
registry = "http://127.0.0.1:5000"
ollama = "http://127.0.0.1:11434"
blobs = "https://blobs.example.net"
grants = "/abs/grants.toml"
[site.tokens]
root = "root.crt"
certificate = "token.crt"
signing_key = "file:token.key"
blob_secret = "blob.secret"
`

func TestParse(t *testing.T) {
	c, err := Parse([]byte(good), "/etc/gate/c.toml")
	if err != nil {
		t.Fatal(err)
	}
	s := c.Sites[0]
	got := []any{
		c.Listen, c.Keys, c.Replay, c.Limits, s.Origin.String(), s.Registry.String(), s.Ollama.String(), s.Blobs.String(), s.Grants,
		s.Tokens, s.AcceptSignatures, s.AcceptTokens, s.Service(), s.Issuer(), s.HasTokens(), s.Line,
	}
	want := []any{
		[]string{"127.0.0.1:8080"},
		Keys{Authorized: "/etc/gate/authorized_keys"},
		Replay{Past: 5 * time.Minute, Future: 30 * time.Second},
		Limits{50, 100, 64 << 20, 30 * time.Second},
		"https://reg.example", "http://127.0.0.1:5000", "http://127.0.0.1:11434",
		"https://blobs.example.net", "/abs/grants.toml",
		Tokens{
			Root: "/etc/gate/root.crt", Certificate: "/etc/gate/token.crt", SigningKey: "file:/etc/gate/token.key",
			BlobSecret: "/etc/gate/blob.secret", Lifetime: 5 * time.Minute,
		},
		true, true, "reg.example", "https://reg.example", true, 4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each row changes one line of a good file and names the mistake with its line.
func TestParseMistakes(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`["127.0.0.1:8080"]`, `["0.0.0.0:8080"]`, "1: listen: 0.0.0.0:8080 is not on loopback"},
		{`["127.0.0.1:8080"]`, `[":443"]`, "1: listen: :443 is not on loopback"},
		{`["127.0.0.1:8080"]`, `["x"]`, `1: listen: want "host:port"`},
		{`["127.0.0.1:8080"]`, `[]`, "1: listen: the list is empty"},
		{`grants =`, "accept = [ # none\n]\ngrants =", "9: accept: the list is empty: no request would be accepted"},
		{`listen = ["127.0.0.1:8080"]`, ``, "1: listen: missing"},
		{`listen =`, "trusted_proxies = [\"x\"]\nlisten =", "1: trusted_proxies: want addresses or networks"},
		{`listen =`, "admin = 7\nlisten =", "1: admin: want a string"},
		{`[keys]`, "[tls]\ncertificate = \"a\"\n[keys]", "3: tls: certificate and key belong together"},
		{`[keys]`, "[replay]\npast = \"2h\"\n[keys]", "3: past: want at most an hour"},
		{`[keys]`, "[replay]\nfuture = \"2m\"\n[keys]", "3: future: want at most a minute"},
		{`[keys]`, "[replay]\nredis = \"localhost\"\n[keys]", "3: redis: want a URL"},
		{`[keys]`, "[replay]\nredis = \"redis://u:secret@h\"\n[keys]", "3: redis: it holds a password"},
		{`[keys]`, "[limits]\nper_key = 0\n[keys]", "3: per_key: want a whole number"},
		{`authorized = "authorized_keys"`, ``, "2: authorized: missing"},
		{`"https://reg.example"`, `"reg.example/x"`, "5: origin: not an origin"},
		{`origin = "https://reg.example"`, ``, "4: origin: missing"},
		{`grants = "/abs/grants.toml"`, ``, "4: grants: missing"},
		{`"http://127.0.0.1:5000"`, `"127.0.0.1:5000"`, "6: registry: want the address of the server"},
		{`"http://127.0.0.1:5000"`, `"http://127.0.0.1:5000/x"`, "6: registry: want the address of the server"},
		{`"https://blobs.example.net"`, `"https://reg.example:444"`, "8: blobs: want another host name"},
		{`"https://blobs.example.net"`, `"https://blobs.reg.example"`, "8: blobs: want a host name that is not below"},
		{`"https://blobs.example.net"`, `"http://blobs.example.net"`, "8: blobs: want https"},
		{`grants =`, "accept = [\"password\"]\ngrants =", `9: accept: "password" is unknown`},
		{`grants =`, "path = \"x/\"\ngrants =", "9: path: want a path"},
		{`grants =`, "path = \"/a/../b\"\ngrants =", "9: path: want a path"},
		{`ollama = "http://127.0.0.1:11434"`, `path = "/ollama"`, "4: site: path and accept are for an Ollama server"},
		{`ollama = "http://127.0.0.1:11434"`, `accept = ["token"]`, "4: site: path and accept are for an Ollama server"},
		{`root = "root.crt"`, ``, "4: site: it needs tokens, and [site.tokens] lacks root"},
		{`signing_key = "file:token.key"`, ``, "4: site: it needs tokens, and [site.tokens] lacks signing_key"},
		{`"file:token.key"`, `"token.key"`, "13: signing_key:"},
		{`blob_secret = "blob.secret"`, ``, "8: blobs: it needs blob_secret"},
		{`blob_secret`, `lifetime = "2h"` + "\nblob_secret", "14: lifetime: want a minute to an hour"},
		{`blob_secret`, "blob_sekret", `14: unknown key "blob_sekret": did you mean "blob_secret"?`},
		{`[[site]]`, `[site]`, "4: site may come several times: write [[site]]"},
	} {
		text := strings.Replace(good, tt.old, tt.new, 1)
		_, err := Parse([]byte(text), "c")
		if got := fmt.Sprint(err); tt.want != "" && !strings.Contains(got, "c:"+tt.want) {
			t.Errorf("%s: got %v, want %s", tt.new, got, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: the error repeats a password: %v", tt.new, err)
		}
	}
}

// Other machines may connect if there is TLS, or a proxy that has it.
func TestParseOpenAddress(t *testing.T) {
	for _, protection := range []string{"[tls]\ncertificate = \"a\"\nkey = \"b\"\n", "trusted_proxies = [\"192.0.2.1\"]\n"} {
		text := strings.Replace(good, "127.0.0.1:8080\"]\n", "0.0.0.0:8080\"]\n"+protection, 1)
		if _, err := Parse([]byte(text), "c"); err != nil {
			t.Errorf("%s: %v", protection, err)
		}
	}
}

func TestParseTellsEveryMistake(t *testing.T) {
	_, err := Parse([]byte("listen = 1\nadmin = 2\n[[site]]\norigin = 3\n[[site]]\ncolour = 4\n"), "c")
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, strings.Split(line, ":")[1])
	}
	for _, want := range []string{"1", "2", "4", "6"} {
		if !strings.Contains(" "+strings.Join(lines, " ")+" ", " "+want+" ") {
			t.Errorf("no mistake in line %s: %v", want, err)
		}
	}
}

func TestRule08_TwoSites(t *testing.T) {
	second := good[strings.Index(good, "[[site]]"):]
	for name, tt := range map[string]struct{ change, want string }{
		"two of everything": {"", "belongs to the site in line 4"},
		"another origin":    {"https://reg.example=https://other.example", "https://blobs.example.net belongs to the site in line 4"},
		"one signing key":   {"https://reg.example=https://other.example blobs.example=blobs2.example", "its signing_key is that of the site in line 4"},
		"two sites":         {"https://reg.example=https://other.example blobs.example=blobs2.example file:token.key=file:other.key", ""},
		"default port":      {"https://reg.example=https://REG.example:443 blobs.example=blobs2.example file:token.key=file:other.key", "https://reg.example belongs to the site in line 4"},
	} {
		text := second
		for change := range strings.FieldsSeq(tt.change) {
			old, replacement, _ := strings.Cut(change, "=")
			text = strings.ReplaceAll(text, old, replacement)
		}
		_, err := Parse([]byte(good+text), "c")
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
