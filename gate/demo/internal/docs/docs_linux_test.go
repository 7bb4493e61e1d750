// Package docs runs the pages about the gate with its program, a real registry of CNCF
// distribution, a real redis-server and a stand-in for an Ollama server.
package docs

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"

	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/testprogram"
	"github.com/countersign/countersign/internal/tlstest"
)

const checkout = "../../../.."

// TestMain makes the program of the tests play the programs that the pages name, and the
// shell on a machine.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "registry":
		if err := registry.RootCmd.Execute(); err != nil {
			os.Exit(1)
		}
		return
	case "ollama":
		fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:11434", http.HandlerFunc(serveOllama)))
		os.Exit(1)
	}
	if folder := os.Getenv(folderVariable); folder != "" {
		fmt.Fprintln(os.Stderr, enter(folder, os.Args[1:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serveOllama answers as an Ollama server with one model, which says hello.
func serveOllama(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	switch r.URL.Path {
	case "/api/chat":
		fmt.Fprintln(w, `{"model":"llama3.2","message":{"role":"assistant","content":"Hello"},"done":false}`)
		fmt.Fprintln(w, `{"model":"llama3.2","message":{"role":"assistant","content":""},"done":true}`)
	default:
		fmt.Fprintln(w, `{"models":[{"name":"llama3.2"}]}`)
	}
}

// TestPages runs every command of the pages about the gate and wants the output that they
// show.
func TestPages(t *testing.T) {
	requireNamespaces(t)
	testprogram.Require(t, "redis-server", "redis-server")
	testprogram.Require(t, "curl", "curl")
	bin := buildPrograms(t)
	for _, name := range []string{"gate-registry.md", "gate-ollama.md", "gate-replicas.md", "gate-log.md"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(checkout, "docs", name))
			if err != nil {
				t.Fatal(err)
			}
			m := machine{folder: t.TempDir(), bin: bin}
			m.addFiles(t, "registry.example.com", "blobs.example.net", "ollama.example.com", "redis.internal")
			shell := m.shell(t)
			if shell.Dir, err = filepath.Abs(checkout); err != nil {
				t.Fatal(err)
			}
			pages.Run(t, shell, m.folder, pages.Steps(string(text)))
		})
	}
}

// scripts do what the pages take for granted.
var scripts = map[string]string{
	"await-gate": `#!/bin/sh
exec timeout 30 sh -c 'until curl -so /dev/null "$1"; do sleep 0.1; done' sh "$1"
`,
	// Does what the page "I run a registry" tells, with further options of init.
	"set-up-registry": `#!/bin/sh -e
countersign key generate file:~/.ollama/id_ed25519 >/dev/null
countersignd init --origin https://registry.example.com --registry http://127.0.0.1:5000 \
	--tls-certificate /etc/ssl/tls.crt --tls-key /etc/ssl/tls.key "$@" >/dev/null
sed -i 's/^# admin/admin/' /etc/countersignd/countersignd.toml
echo "$(countersign key show | tail -1) alice" >>/etc/countersignd/authorized_keys
cat >/etc/countersignd/grants.toml <<'END'
[[grant]]
names = ["*"]
repositories = ["users/${name}/*"]
actions = ["pull", "push", "delete"]
END
cat >/etc/registry.yml <<'END'
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: "127.0.0.1:5000"}
auth:
  token:
    realm: https://registry.example.com/token
    service: registry.example.com
    issuer: https://registry.example.com
    rootcertbundle: /etc/countersignd/root.crt
END
`,
	// Pushes a small image to a repository, with the tag v1.
	"push-image": `#!/bin/sh -e
timeout 30 sh -c 'until curl -so /dev/null http://127.0.0.1:5000/; do sleep 0.1; done'
to=https://registry.example.com/v2/$1
auth=$(countersign token --header --scope "repository:$1:pull,push" https://registry.example.com)
digest=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
upload=$(curl -sS --fail-with-body -X POST -H "$auth" -o /dev/null -w '%header{location}' "$to/blobs/uploads/")
curl -sS --fail-with-body -X PUT -H "$auth" -H "Content-Type: application/octet-stream" --data-binary '{}' "$upload&digest=$digest"
config='{"mediaType":"application/vnd.oci.empty.v1+json","digest":"'$digest'","size":2}'
manifest='{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":'$config',"layers":['$config']}'
curl -sS --fail-with-body -X PUT -H "$auth" -H "Content-Type: application/vnd.oci.image.manifest.v1+json" --data-binary "$manifest" "$to/manifests/v1"
`,
}

// buildPrograms returns a folder with the programs that the reader of a page has.
func buildPrograms(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	for module, program := range map[string]string{"": "countersign", "gate": "countersignd"} {
		cmd := exec.Command("go", "build", "-o", bin, "./cmd/"+program)
		cmd.Dir = filepath.Join(checkout, module)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"registry", "ollama"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// addFiles gives the machine the files that an operator has before the first step: the
// certificate for hosts, which all are this machine.
func (m machine) addFiles(t *testing.T, hosts ...string) {
	t.Helper()
	authority := tlstest.New(t)
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	pair := read(authority.Pair(time.Now().Add(time.Hour), hosts...))
	addresses := "127.0.0.1 localhost\n"
	for _, h := range hosts {
		addresses += "127.0.0.1 " + h + "\n"
	}
	for name, data := range map[string][]byte{
		"authority.pem":   read(authority.File()),
		"etc/ssl/tls.crt": pair,
		"etc/ssl/tls.key": pair,
		"etc/hosts":       []byte(addresses),
	} {
		path := filepath.Join(m.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
