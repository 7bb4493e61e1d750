package clients

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/demo/distribution"
	"github.com/countersign/countersign/gate/setup"
)

// ollamaGrants give bob nothing. The Ollama server behind the gate has a key of its own.
const ollamaGrants = `
[[grant]]
names = ["alice", "work"]
repositories = ["alice/*"]
actions = ["pull", "push"]
endpoints = ["read", "chat", "pull", "push", "create", "delete"]

[[grant]]
names = ["server"]
repositories = ["alice/*"]
actions = ["pull", "push"]
`

// An ollamaStage has the gate, the servers behind it, and the machines of the people.
type ollamaStage struct {
	gate   string // origin
	model  string // the name of a model in the registry
	folder string // of the gate
	bin    string // the folder with all programs
	daemon *daemon
	hold   *hold

	alice, bob, stranger *ollamaMachine
}

func startOllamaStage(t *testing.T, ollama string) *ollamaStage {
	t.Helper()
	address := freePort(t)
	s := &ollamaStage{gate: "http://" + address, model: "http://" + address + "/alice/tiny", folder: t.TempDir(), bin: t.TempDir(), hold: &hold{}}
	s.install(t, ollama)
	newMachine := func(name string) *ollamaMachine { return s.newMachine(t, name, t.TempDir()) }
	s.alice, s.bob, s.stranger = newMachine("alice"), newMachine("bob"), newMachine("stranger")
	server := newMachine("server")

	registry := httptest.NewServer(s.hold)
	t.Cleanup(registry.Close)
	s.operator(t, "countersignd init --origin "+s.gate+" --blobs "+strings.Replace(s.gate, "127.0.0.1", "localhost", 1)+
		" --registry "+registry.URL+" --ollama http://"+server.address)
	s.write(t, setup.GrantsFile, ollamaGrants)
	s.write(t, setup.AuthorizedFile, bobAndServer(t, s, server))
	c, err := config.Load(filepath.Join(s.folder, setup.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	handler, end := distribution.New(ctx, c.Sites[0])
	t.Cleanup(func() { cancel(); end() })
	s.hold.before(handler)
	s.startGate(t)
	return s
}

// bobAndServer returns the lines of authorized_keys for the keys that Ollama made for bob
// and for the server behind the gate.
func bobAndServer(t *testing.T, s *ollamaStage, server *ollamaMachine) (lines string) {
	t.Helper()
	for _, m := range []*ollamaMachine{s.bob, server} {
		lines += strings.TrimSpace(s.read(t, m.home, ".ollama", "id_ed25519.pub")) + " " + m.name + "\n"
	}
	return lines
}

// install makes a folder with Ollama and the programs of this project. It is all that is
// in the PATH, so Ollama finds no browser to open.
func (s *ollamaStage) install(t *testing.T, ollama string) {
	t.Helper()
	path, err := filepath.Abs(ollama)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(s.bin, "ollama")); err != nil {
		t.Fatal(err)
	}
	for program, module := range map[string]string{"countersignd": "..", "countersign": "../.."} {
		if out, err := exec.Command("go", "build", "-C", module, "-o", s.bin, "./cmd/"+program).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func (s *ollamaStage) read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// write writes a file of the gate.
func (s *ollamaStage) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *ollamaStage) gateEnv() []string {
	return []string{"PATH=" + s.bin, "TMPDIR=" + os.TempDir(), "COUNTERSIGND_CONFIG=" + filepath.Join(s.folder, setup.ConfigFile)}
}

// operator runs a command of the operator of the gate, which must succeed.
func (s *ollamaStage) operator(t *testing.T, line string) {
	t.Helper()
	operator := &ollamaMachine{name: "operator", home: s.folder, env: s.gateEnv()}
	operator.works(t, line, "")
}

func (s *ollamaStage) startGate(t *testing.T) {
	t.Helper()
	fmt.Println("operator$ countersignd serve")
	s.daemon = startDaemon(t, s.gateEnv(), "msg=listening", filepath.Join(s.bin, "countersignd"), "serve")
}

// An ollamaMachine has a home folder and an Ollama server, which made its key there.
type ollamaMachine struct {
	name, home string
	address    string // of the Ollama server
	env        []string
}

// newMachine starts the Ollama server of a machine. Its environment has the variables env.
func (s *ollamaStage) newMachine(t *testing.T, name, home string, env ...string) *ollamaMachine {
	t.Helper()
	m := &ollamaMachine{name: name, home: home, address: freePort(t)}
	m.env = append([]string{"TMPDIR=" + os.TempDir()}, env...) // a session of secretservice has its own
	m.env = append(m.env, "PATH="+s.bin, "HOME="+home, "COUNTERSIGN_CONFIG="+os.DevNull, "OLLAMA_NO_CLOUD=1", "OLLAMA_HOST="+m.address)
	startDaemon(t, m.env, "Listening on", filepath.Join(s.bin, "ollama"), "serve")
	return m
}

// with returns m with more variables in its environment.
func (m *ollamaMachine) with(env ...string) *ollamaMachine {
	other := *m
	other.env = slices.Concat(m.env, env)
	return &other
}

// answer matches the answer of the model, which consists of letters.
const answer = "(?m)^[a-z]+$"

// works runs a line of shell that must succeed, and returns the part of its output that
// the expression want matches.
func (m *ollamaMachine) works(t *testing.T, line, want string) string {
	t.Helper()
	out, err := m.run(t, line)
	found := regexp.MustCompile(want).FindString(out)
	if err != nil || found == "" && want != "" {
		t.Fatalf("%s: %v, want %q in\n%s", line, err, want, out)
	}
	return found
}

// fails runs a line of shell that must fail. Its output must match the expression want.
func (m *ollamaMachine) fails(t *testing.T, line, want string) {
	t.Helper()
	out, err := m.run(t, line)
	if err == nil || !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("%s: %v, want an error with %q in\n%s", line, err, want, out)
	}
}

// run runs a line of shell in the home folder. It prints both the line and its output.
func (m *ollamaMachine) run(t *testing.T, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Env, cmd.Dir, cmd.WaitDelay = m.env, m.home, time.Second
	raw, err := cmd.CombinedOutput()
	out := plainText(string(raw))
	shown := m.name + "$ " + line + "\n"
	for l := range strings.Lines(out) {
		shown += "    " + l
	}
	if err != nil {
		shown += "    (" + err.Error() + ")\n"
	}
	fmt.Print(shown)
	return out, err
}

// newLine matches the sequences with which Ollama begins to write a line of the terminal
// again. escape matches the other ones, and the signs of progress.
var (
	newLine = regexp.MustCompile("\x1b\\[[0-9;]*[A-KST]|\r")
	escape  = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]|[\u2800-\u28ff] ")
)

// plainText returns each line that a program printed on a terminal once.
func plainText(text string) string {
	var lines []string
	for line := range strings.Lines(escape.ReplaceAllString(newLine.ReplaceAllString(text, "\n"), "")) {
		if line = strings.TrimSpace(line) + "\n"; line != "\n" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A daemon is a program that runs until the test ends.
type daemon struct {
	stop func()

	mu      sync.Mutex
	log     strings.Builder
	looked  int           // the length of the log that await has looked at
	changed chan struct{} // closed when the log grows
}

// startDaemon starts a program and waits for the text ready in what it prints.
func startDaemon(t *testing.T, env []string, ready string, args ...string) *daemon {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	d := &daemon{changed: make(chan struct{})}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			d.add(lines.Text())
		}
	}()
	d.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		_ = cmd.Wait() // the signal ended it
		if t.Failed() {
			t.Logf("%q printed at its end:\n%s", args[1:], d.end())
		}
	})
	t.Cleanup(d.stop)
	d.await(t, ready)
	return d
}

func (d *daemon) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log.WriteString(line + "\n")
	close(d.changed)
	d.changed = make(chan struct{})
}

// end returns the end of the log.
func (d *daemon) end() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	const size = 2000
	return d.log.String()[max(0, d.log.Len()-size):]
}

// await waits until the log has text behind the place where the last call found its own.
func (d *daemon) await(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		d.mu.Lock()
		_, after, found := strings.Cut(d.log.String()[d.looked:], text)
		if found {
			d.looked = d.log.Len() - len(after)
		}
		changed := d.changed
		d.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no %q in\n%s", text, d.end())
		}
	}
}
