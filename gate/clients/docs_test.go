package clients

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/internal/tlstest"
)

const page = "other-languages.md"

var (
	// part matches a file that the page shows, and lines to type.
	part = regexp.MustCompile("(?ms)^<!-- file: ~/(?P<path>\\S+) -->\n+```\\w*\n(?P<text>.*?)^```$|^```sh\n(?P<lines>.*?)^```$|`(?P<span>[^`\n]+)`")

	// line matches a line that this test runs.
	line = regexp.MustCompile(`(?m)^(?:DOCKER_CONFIG=\S+ |countersign token .* \| )?(crane|oras|skopeo|podman|curl) .*(?:127\.0\.0\.1:5115|registry\.example\.com|\$URL).*$`)
)

// TestPage runs the commands of crane, oras, skopeo and podman on the page, in its order:
// through a proxy, with tokens and with the credential helper. The registry has the name
// that it has on the page, and a certificate.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	authority := tlstest.New(t)
	g := startGate(t, gatetest.Options{
		Origin: "https://registry.example.com", TLS: authority.Pair(time.Now().Add(time.Hour), "registry.example.com"), Grants: `
[[grant]]
names = ["alice"]
repositories = ["team/*", "library/*"]
actions = ["pull", "push", "delete"]
`,
	})
	tunnel := httptest.NewServer(tlstest.Tunnel(strings.TrimPrefix(g.URL, "https://")))
	t.Cleanup(tunnel.Close)
	m := newMachine(t)
	m.enrol(g)
	m = m.with(t, "HTTPS_PROXY="+tunnel.URL, "SSL_CERT_FILE="+authority.File())
	p := m.startProxy(g, "--allow", "push,delete")
	if err := crane.Save(image(t, 1_000_000, 2), "local:v1", filepath.Join(m.home, "app.tar")); err != nil {
		t.Fatal(err)
	}
	m.want("", "crane", "push", "app.tar", p.host+"/library/llama3")

	ran := map[string]int{}
	for _, found := range part.FindAllStringSubmatch(string(text), -1) {
		path, file, script := found[1], found[2], found[3]+found[4]
		if path != "" {
			m.write(path, file)
			continue
		}
		names := line.FindAllStringSubmatch(script, -1)
		if names == nil {
			continue
		}
		t.Run(names[0][1], func(t *testing.T) {
			m := m.with(t)
			for _, name := range names {
				ran[name[1]]++
				if why := m.lacks(name[1]); why != "" {
					t.Run(name[1], func(t *testing.T) { t.Skipf("NOT TESTED: %s: %s", name[0], why) })
					script = strings.Replace(script, name[0], "#", 1)
				}
			}
			script = strings.ReplaceAll(script, "127.0.0.1:5115", p.host)
			if out, err := m.run("", "bash", "-c", "set -e; trap 'echo failed: \"$BASH_COMMAND\"' ERR\n"+script); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	for name, want := range map[string]int{"curl": 1, "podman": 4, "crane": 6, "oras": 6, "skopeo": 6} {
		if ran[name] < want {
			t.Errorf("the page has %d commands of %s, want at least %d, for all the ways that it has", ran[name], name, want)
		}
	}
}
