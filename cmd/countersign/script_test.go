package main

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/vaulttest"
)

// endAtOnce is for the command built with -race, which else takes a second to end.
const endAtOnce = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"countersign": main})
}

// TestScripts runs the command as a user would; testdata holds the scripts. Each
// has a home directory of its own, no keychain and no key.
func TestScripts(t *testing.T) {
	p := scripts("testdata")
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("HOME", env.WorkDir+"/home")
		env.Vars = append(env.Vars, endAtOnce)
		env.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+env.WorkDir+"/no-bus")
		return os.Mkdir(env.WorkDir+"/home", 0o700)
	}
	testscript.Run(t, p)
}

func scripts(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"agent":    startAgent,
			"registry": startRegistry,
			"vault":    startVault,
			"press":    press,
			"exits":    exits,
			"mode":     mode,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	}
}

// faults are what a script can have a registry do wrong, by name.
var faults = map[string]struct {
	part  challengetest.Part
	fault challengetest.Fault
}{
	"open":            {challengetest.Challenges, challengetest.Reply(200, "open to all\n")},
	"basic":           {challengetest.Challenges, challengetest.Reply(401, "", "WWW-Authenticate", `Basic realm="x"`)},
	"malformed":       {challengetest.Challenges, challengetest.Reply(401, "", "WWW-Authenticate", `Bearer realm="http`)},
	"never-satisfied": {challengetest.Resources, challengetest.NeverSatisfied},
	"other-realm":     {challengetest.Challenges, challengetest.WrongRealm("https://evil.example/token")},
	"plain-text":      {challengetest.Tokens, challengetest.Reply(200, "welcome")},
	"huge":            {challengetest.Tokens, challengetest.Huge(64 << 20)},
	"cut":             {challengetest.Tokens, challengetest.Cut},
	"denied":          {challengetest.Tokens, challengetest.Reply(403, `{"error":"this key may not"}`)},
	"body-cut":        {challengetest.Resources, challengetest.Cut},
	"minute-ahead":    {challengetest.Challenges, clockOff(time.Minute)},
	"hour-behind":     {challengetest.Challenges, clockOff(-time.Hour)},
	"redirect":        {challengetest.Tokens, challengetest.Reply(302, "", "Location", "https://evil.example/")},
	"no-api":          {challengetest.API, challengetest.Reply(404, "")},
	"api-redirect":    {challengetest.API, challengetest.Reply(307, "", "Location", "https://evil.example/")},
	"api-page":        {challengetest.API, challengetest.Reply(200, "<html>")},
	"wild-name":       {challengetest.API, challengetest.Reply(200, `{"name":"\u001b[31mred"}`)},
	"no-name":         {challengetest.API, challengetest.Reply(200, `{"name":""}`)},
}

// soon are faults that pass after one request.
var soon = map[string]challengetest.Fault{
	"not-yet":     challengetest.Reply(401, `{"error":"unauthorized"}`),
	"unavailable": challengetest.Reply(503, ""),
}

// clockOff has the Date header of replies differ from the time here.
func clockOff(by time.Duration) challengetest.Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			next.ServeHTTP(w, req)
		})
	}
}

// startRegistry starts a registry that has the image library/demo, and sets
// REGISTRY to its URL and IMAGE to that of the image's manifest. With sign-in it
// accepts keys from its sign-in page only.
//
//	registry [sign-in] [fault...]
func startRegistry(ts *testscript.TestScript, _ bool, args []string) {
	signIn := len(args) > 0 && args[0] == "sign-in"
	if signIn {
		args = args[1:]
	}
	registry, err := challengetest.Start(challengetest.Config{SignIn: signIn})
	ts.Check(err)
	ts.Defer(registry.Close)
	registry.AddImage("library/demo", "latest", []byte("hello"))
	for _, name := range args {
		if f := soon[name]; f != nil {
			registry.Fail(challengetest.API, 1, f)
			continue
		}
		f, ok := faults[name]
		if !ok {
			ts.Fatalf("no fault %q", name)
		}
		registry.Fail(f.part, challengetest.Always, f.fault)
	}
	ts.Setenv("REGISTRY", registry.URL)
	ts.Setenv("IMAGE", registry.URL+"/v2/library/demo/manifests/latest")
}

// startVault starts a fake of Vault with a transit engine, and sets VAULT_ADDR to its URL
// and ROOT to a token that may do everything.
func startVault(ts *testscript.TestScript, _ bool, _ []string) {
	fake := vaulttest.New(nil)
	fake.AddEngine("transit")
	h := httptest.NewServer(fake)
	ts.Defer(h.Close)
	ts.Setenv("VAULT_ADDR", h.URL)
	ts.Setenv("ROOT", fake.Root)
}

// press presses the button of the page whose address the command before printed.
func press(ts *testscript.TestScript, _ bool, _ []string) {
	resp, err := http.Post(strings.TrimSpace(ts.ReadFile("stdout")), "", nil)
	ts.Check(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("the page answers %s", resp.Status)
	}
}

// exits runs a program and wants an exit code.
//
//	exits 3 countersign get URL
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	var failed *exec.ExitError
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// mode wants the mode of a file.
//
//	mode 600 home/key
func mode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().Perm(); got != fs.FileMode(want) {
		ts.Fatalf("%s has mode %o, want %o", args[1], got, want)
	}
}
