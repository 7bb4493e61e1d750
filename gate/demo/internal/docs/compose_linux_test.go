package docs

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/testprogram"
)

const (
	deploy   = checkout + "/gate/deploy"
	gateHost = "registry.example.com"
)

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(deploy, "compose.yaml")}, cli.WithEnv([]string{"GATE_HOST=" + gateHost}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// TestComposeNetworks wants the gate to be the only service that other machines reach, and
// the only one that each other service reaches.
func TestComposeNetworks(t *testing.T) {
	project := loadCompose(t)
	var published []string
	neighbours := map[string][]string{}
	for name, service := range project.Services {
		for _, p := range service.Ports {
			published = append(published, name+" "+p.Published)
		}
		if service.NetworkMode != "" || service.Privileged {
			t.Errorf("%s: network mode %q, privileged %v", name, service.NetworkMode, service.Privileged)
		}
		for other, o := range project.Services {
			for network := range service.Networks {
				if _, shared := o.Networks[network]; shared && other != name {
					neighbours[name] = append(neighbours[name], other)
				}
			}
		}
		slices.Sort(neighbours[name])
	}
	if want := []string{"gate 443"}; !slices.Equal(published, want) {
		t.Errorf("published: %q, want %q", published, want)
	}
	want := map[string][]string{"gate": {"ollama", "redis", "registry"}, "registry": {"gate"}, "ollama": {"gate"}, "redis": {"gate"}}
	if diff := cmp.Diff(want, neighbours); diff != "" {
		t.Errorf("services that reach each other (-want +got):\n%s", diff)
	}
	for _, name := range []string{"registry", "redis"} {
		if !project.Networks[name].Internal {
			t.Errorf("the network %s is not internal", name)
		}
	}
}

// TestComposeNeedsTheHost wants the name of the gate's host to be asked for.
func TestComposeNeedsTheHost(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(deploy, "compose.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := options.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), "GATE_HOST") {
		t.Errorf("without GATE_HOST: %v", err)
	}
}

// TestComposeRegistry lets distribution read the variables of the service, over each
// configuration that its images have.
func TestComposeRegistry(t *testing.T) {
	for name, value := range loadCompose(t).Services["registry"].Environment {
		t.Setenv(name, *value)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/distribution/distribution/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config-dev.yml", "config-example.yml"} {
		f, err := os.Open(filepath.Join(strings.TrimSpace(string(out)), "cmd", "registry", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, err := configuration.Parse(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := configuration.Parameters{
			"realm": "https://" + gateHost + "/token", "service": gateHost, "issuer": "https://" + gateHost,
			"rootcertbundle": "/etc/countersignd/root.crt",
		}
		if diff := cmp.Diff(want, c.Auth["token"]); diff != "" || len(c.Auth) != 1 {
			t.Errorf("%s: %v: (-want +got):\n%s", name, c.Auth, diff)
		}
		if deletes := c.Storage["delete"]["enabled"]; deletes != true {
			t.Errorf("%s: delete: %v", name, deletes)
		}
		if c.HTTP.Addr != ":5000" {
			t.Errorf("%s: the registry listens on %s", name, c.HTTP.Addr)
		}
	}
}

// TestComposeCommands runs the commands of all services together on one machine, after
// those that the page shows.
func TestComposeCommands(t *testing.T) {
	requireNamespaces(t)
	testprogram.Require(t, "redis-server", "redis-server")
	testprogram.Require(t, "curl", "curl")
	page, err := os.ReadFile(filepath.Join(checkout, "docs", "gate-registry.md"))
	if err != nil {
		t.Fatal(err)
	}
	initCommand := regexp.MustCompile(`(?s)docker compose run --rm --no-deps gate (init .*?[^\\])\n`).FindSubmatch(page)
	if initCommand == nil {
		t.Fatal("the page does not show how to make the configuration")
	}
	replay := regexp.MustCompile(`(?m)^redis = .*$`).Find(page)
	services := loadCompose(t).Services
	m := machine{folder: t.TempDir(), bin: buildPrograms(t)}
	m.addFiles(t, gateHost, "registry", "ollama", "redis")
	gate := append([]string{"countersignd"}, services["gate"].Command...)
	pages.Run(t, m.shell(t), m.folder, []pages.Step{
		{Command: "mkdir /etc/countersignd && cp /etc/ssl/tls.* /etc/countersignd"},
		{Command: "countersignd " + string(initCommand[1])},
		{Command: fmt.Sprintf("sed -i 's|^# redis = .*|%s|' /etc/countersignd/countersignd.toml", replay)},
		{Command: "printf 'version: 0.1\\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\\nhttp: {addr: \":5000\"}\\n' >~/registry.yml"},
		{Command: quote(variables(services["registry"])) + " registry serve ~/registry.yml >~/registry.log 2>&1 &"},
		{Command: quote(services["redis"].Command) + " >~/redis.log 2>&1 &"},
		{Command: "ollama >~/ollama.log 2>&1 &"},
		{Command: "countersign key generate file:~/.ollama/id_ed25519 && echo \"$(countersign key show | tail -1) alice\" >>/etc/countersignd/authorized_keys"},
		{Command: `printf '[[grant]]\nnames = ["*"]\nrepositories = ["users/${name}/*"]\nactions = ["pull", "push"]\nendpoints = ["read"]\n' >/etc/countersignd/grants.toml`},
		{Command: "countersignd check", Want: "no mistakes; keys: 1, grants: 1, sites: 1"},
		{Command: quote(gate) + " >~/gate.log 2>&1 &"},
		{Command: "await-gate https://registry.example.com && timeout 30 sh -c 'until countersign token --scope repository:users/alice/app:pull https://registry.example.com; do sleep 0.2; done'"},
		{Command: "push-image users/alice/app && countersign get https://registry.example.com/v2/users/alice/app/tags/list", Want: `{"name":"users/alice/app","tags":["v1"]}`},
		{Command: "countersign --quiet proxy --to https://registry.example.com -- sh -c 'curl -s $OLLAMA_HOST/api/tags'", Want: `{"models":[{"name":"llama3.2"}]}`},
		{Command: "curl -s -o /dev/null -w '%{http_code}' http://registry:5000/v2/", Want: "401"},
	})
}

// variables returns a command that sets the variables of a service.
func variables(s types.ServiceConfig) []string {
	all := []string{"env"}
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		all = append(all, name+"="+*s.Environment[name])
	}
	return all
}

// quote returns a command for a shell.
func quote(command []string) string {
	var all []string
	for _, word := range command {
		all = append(all, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return strings.Join(all, " ")
}

// TestDockerfile wants each base image to be there, each file that is copied to be in the
// repository or made before, and the program to be where the entry point is.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllSubmatch(text, -1) {
		images = append(images, string(m[1]))
	}
	version, err := exec.Command("go", "list", "-C", checkout+"/gate", "-m", "-f", "{{.GoVersion}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	minor := strings.Join(strings.SplitN(strings.TrimSpace(string(version)), ".", 3)[:2], ".")
	if want := []string{"golang:" + minor, "scratch"}; !slices.Equal(images, want) {
		t.Errorf("the images are %q, want %q", images, want)
	}
	build := regexp.MustCompile(`(?m)^RUN (.*) -o (\S+) (\S+)$`).FindSubmatch(text)
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["(.*)"\]$`).FindSubmatch(text)
	if build == nil || entry == nil || !strings.Contains(string(text), fmt.Sprintf("COPY --from=build %s %s\n", build[2], entry[1])) {
		t.Fatalf("no program is built and copied to the entry point: %q, %q", build, entry)
	}
	cmd := exec.Command("sh", "-c", fmt.Sprintf("%s -n -o %s %s", build[1], build[2], build[3])) // prints its steps only
	cmd.Dir = checkout
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), string(build[2])) {
		t.Fatalf("%s: %v\n%s", build[0], err, out)
	}
}
