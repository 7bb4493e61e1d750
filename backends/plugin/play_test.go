package plugin_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/backends/plugin/pluginmain"
	"github.com/countersign/countersign/signer"
)

// TestMain plays the plugin whose name the test binary has: a plugin gets no variable
// that could name it.
func TestMain(m *testing.M) {
	if name, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"), "countersign-backend-"); ok {
		play(name)
		os.Exit(0)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or a plugin with -race takes a second to end
	os.Exit(m.Run())
}

// playing returns the program that plays the plugin called name.
func playing(t *testing.T, name string) plugin.Program {
	t.Helper()
	path := filepath.Join(tempDir(t), "countersign-backend-"+name)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		path += ".exe"
		err = os.Link(self, path)
	} else {
		err = os.Symlink(self, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plugin.Program{Path: path, Environment: []string{"GORACE"}}
}

// tempDir returns a folder into which no other user can write: that of t.TempDir is
// open to a group if the umask is 002.
func tempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// backend returns a Backend with the plugins of these names, and sets HOME, in which
// they keep their keys.
func backend(t *testing.T, names ...string) *plugin.Backend {
	t.Helper()
	t.Setenv("HOME", tempDir(t))
	b := &plugin.Backend{Programs: map[string]plugin.Program{}}
	for _, name := range names {
		b.Programs[name] = playing(t, name)
	}
	return b
}

// playKey is the key of the plugins that have one key.
var playKey = ed25519.NewKeyFromSeed([]byte("the seed of a key for tests only"))

// files is the backend of the plugin "files".
func files() *file.Backend {
	return &file.Backend{Dir: filepath.Join(os.Getenv("HOME"), "keys"), Passphrase: pluginmain.Passphrase}
}

type request struct {
	ID        string
	Op        string
	Payload   []byte
	Deadline  string
	MayPrompt bool `json:"may_prompt"`
}

// A reply has the parts of a right reply. Plugins that misbehave change them.
type reply struct {
	id     string
	result string // JSON
}

func (r reply) String() string { return fmt.Sprintf(`{"v":1,"id":%q,"result":%s}`, r.id, r.result) }

// rightReply returns the reply of a plugin that has the key of each name.
func rightReply(r request, key ed25519.PrivateKey) reply {
	pub, err := ssh.NewPublicKey(playKey.Public())
	if err != nil {
		panic(err)
	}
	switch r.Op {
	case "sign":
		return reply{r.ID, fmt.Sprintf(`{"signature":%q}`, base64.StdEncoding.EncodeToString(ed25519.Sign(key, r.Payload)))}
	case "describe":
		return reply{r.ID, `{"name":"play","ops":["public","sign"]}`}
	}
	return reply{r.ID, fmt.Sprintf(`{"public_key":%q}`, signer.AuthorizedKey(pub))}
}

func play(name string) {
	if name == "files" {
		pluginmain.Main("key files", files())
		return
	}
	if name == "started" { // the child of a plugin
		waitForever()
	}
	var r request
	if name != "deaf" {
		data, err := io.ReadAll(os.Stdin)
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			panic(err)
		}
	}
	right := rightReply(r, playKey)
	if act, ok := acts[name]; ok {
		act(r, right)
		return
	}
	if forged, ok := forgeries[name]; ok {
		fmt.Print(forged.reply(right))
		return
	}
	panic("no such play")
}

// acts are plugins that behave in another way than they should.
var acts = map[string]func(r request, right reply){
	"good": func(_ request, right reply) { fmt.Println(right) },
	"exit": func(_ request, right reply) { fmt.Print(right); os.Exit(3) },
	"crash": func(request, reply) {
		fmt.Fprintln(os.Stderr, "the \x1b[31mtoken\x1b[0m is gone\nno reader")
		os.Exit(7)
	},
	"mute": func(request, reply) {},
	"deaf": func(request, reply) { os.Exit(0) },
	"otherkey": func(r request, _ reply) {
		fmt.Print(rightReply(r, ed25519.NewKeyFromSeed([]byte("another seed of another test key"))))
	},
	"flood": func(request, reply) { flood(os.Stdout) },
	"floodserr": func(_ request, right reply) {
		os.Stderr.WriteString(strings.Repeat("a line of a flood\n", 1<<18))
		fmt.Print(right)
	},
	"long":     func(_ request, right reply) { fmt.Print(right, strings.Repeat(" ", 1<<20)) },
	"hang":     func(request, reply) { signalStart(); waitForever() },
	"closes":   func(_ request, right reply) { fmt.Print(right); os.Stdout.Close(); signalStart(); waitForever() },
	"stays":    func(_ request, right reply) { startChild(); fmt.Print(right) },
	"staysand": func(request, reply) { startChild(); waitForever() },
	"pin":      func(request, reply) { fmt.Fprintln(os.Stderr, "PIN is 9876\ncannot log in"); os.Exit(1) },
	"surrounded": func(r request, _ reply) {
		fmt.Printf(`{"v":1,"id":%q,"error":{"code":"internal","message":%q}}`, r.ID, surroundings())
	},
}

func surroundings() string {
	dir, _ := os.Getwd()
	text, _ := json.Marshal(map[string]any{"args": os.Args[1:], "dir": dir, "env": os.Environ()})
	return string(text)
}

func flood(w io.Writer) {
	for line := []byte(strings.Repeat("a line of a flood\n", 1000)); ; {
		w.Write(line)
	}
}

// signalStart tells the test that the plugin runs. The test reads the pipe to its end,
// which comes when the last process that has it open is dead.
func signalStart() *os.File {
	pipe, err := os.OpenFile(filepath.Join(os.Getenv("HOME"), "started"), os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	pipe.WriteString("started")
	return pipe
}

// startChild starts a process that keeps the plugin's stdout, stderr and the pipe of
// signalStart open.
func startChild() {
	child := exec.Command(strings.Replace(os.Args[0], filepath.Base(os.Args[0]), "countersign-backend-started", 1))
	child.Stdout, child.Stderr, child.ExtraFiles = os.Stdout, os.Stderr, []*os.File{signalStart()}
	if err := child.Start(); err != nil {
		panic(err)
	}
}

// A forgery is a reply that must be refused.
type forgery struct {
	reply func(right reply) string
	says  string
}

var forgeries = map[string]forgery{
	"wrongid": {func(r reply) string { r.id = strings.Repeat("0", 32); return r.String() }, "another id"},
	"noid":    {func(r reply) string { return `{"v":1,"result":` + r.result + `}` }, "another id"},
	"twice":   {func(r reply) string { return strings.Replace(r.String(), `"v":1`, `"v":1,"v":1`, 1) }, `"v" twice`},
	"twiceid": {func(r reply) string { return strings.Replace(r.String(), `"v":1`, `"v":1,"id":"x"`, 1) }, `"id" twice`},
	"twicewithin": {func(r reply) string {
		r.result = strings.Replace(r.result, `{`, `{"public_key":"","signature":"","public_key":"","signature":"",`, 1)
		return r.String()
	}, `twice`},
	"twicedeep": {func(r reply) string {
		r.result = strings.Replace(r.result, `{`, `{"more":[[{"a":1,"b":{},"a":2}]],`, 1)
		return r.String()
	}, `"a" twice`},
	"twiceescaped": {func(r reply) string { return strings.Replace(r.String(), `"v":1`, `"v":1,"\u0069d":"x"`, 1) }, `"id" twice`},
	"othercase":    {func(r reply) string { return strings.Replace(r.String(), `"id"`, `"ID"`, 1) }, "other characters"},
	"longs":        {func(r reply) string { return strings.Replace(r.String(), `"result"`, `"re\u017fult"`, 1) }, "other characters"},
	"trailing":     {func(r reply) string { return r.String() + "{}" }, "not one JSON object"},
	"trailingtext": {func(r reply) string { return r.String() + "\ndone\n" }, "not one JSON object"},
	"trailingnul":  {func(r reply) string { return r.String() + "\x00" }, "not one JSON object"},
	"cut":          {func(r reply) string { return r.String()[:len(r.String())-1] }, "not one JSON object"},
	"text":         {func(reply) string { return "I have no JSON today" }, "no JSON object"},
	"array":        {func(r reply) string { return "[" + r.String() + "]" }, "no JSON object"},
	"both": {func(r reply) string {
		return strings.Replace(r.String(), `"v":1`, `"v":1,"error":{"code":"denied"}`, 1)
	}, "exactly one"},
	"neither":   {func(r reply) string { return fmt.Sprintf(`{"v":1,"id":%q}`, r.id) }, "exactly one"},
	"nulls":     {func(r reply) string { return fmt.Sprintf(`{"v":1,"id":%q,"result":null}`, r.id) }, "exactly one"},
	"version":   {func(r reply) string { return strings.Replace(r.String(), `"v":1`, `"v":2`, 1) }, "version 2"},
	"noversion": {func(r reply) string { return strings.Replace(r.String(), `"v":1,`, ``, 1) }, "version 0"},
	"types":     {func(r reply) string { return strings.Replace(r.String(), `"v":1`, `"v":"1"`, 1) }, "wrong type"},
	"bom":       {func(r reply) string { return "\ufeff" + r.String() }, "no JSON object"},
	"nokey":     {func(r reply) string { r.result = "{}"; return r.String() }, "no public_key"},
	"options": {func(r reply) string {
		r.result = strings.Replace(r.result, `"ssh-`, `"no-pty ssh-`, 1)
		return r.String()
	}, "is no line"},
	"twokeys": {func(r reply) string {
		r.result = strings.Replace(r.result, `"}`, `\nssh-ed25519 AAAA"}`, 1)
		return r.String()
	}, "is no line"},
	"deep": {func(r reply) string { return strings.Repeat(`{"a":`, 100_000) }, "not one JSON object"},
}

// waitForever hangs. Without cgo, the runtime ends a program in which every goroutine
// waits for another, but not one that waits for a timer.
func waitForever() { time.Sleep(24 * time.Hour) }
