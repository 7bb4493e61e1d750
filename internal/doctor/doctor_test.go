package doctor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// A fakeCheck runs a function.
type fakeCheck struct {
	subject Subject
	run     func(context.Context) []Finding
}

func (c fakeCheck) Subject() Subject                  { return c.subject }
func (c fakeCheck) Run(ctx context.Context) []Finding { return c.run(ctx) }

// A check that does not heed its context is abandoned, and the others report.
func TestRunAbandonsHangingChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		hangs := fakeCheck{Subject{Check: "hangs"}, func(context.Context) []Finding { <-forever; return nil }}
		waits := fakeCheck{subject: Subject{Check: "waits"}}
		waits.run = func(ctx context.Context) []Finding {
			<-ctx.Done()
			err := signer.WithHint(errors.New("the store does not answer"), signer.Hint{See: "keychain#no-answer"})
			return []Finding{waits.subject.failed(Warning, err)}
		}
		answers := fakeCheck{subject: Subject{Check: "answers"}}
		answers.run = func(context.Context) []Finding { return []Finding{answers.subject.found(OK, "here", "")} }
		want := []Finding{
			{State: Problem, Check: "hangs", Seen: "no answer in time"},
			{State: Warning, Check: "waits", Seen: "the store does not answer", Do: "see: countersign help keychain#no-answer"},
			{State: OK, Check: "answers", Seen: "here"},
		}
		if diff := cmp.Diff(want, Run(t.Context(), []Check{hangs, waits, answers})); diff != "" {
			t.Error(diff)
		}
	})
}

// A panic of a backend is a finding and does not end the other checks.
func TestRunContainsPanics(t *testing.T) {
	const secret = "the panic may hold a secret"
	panics := fakeCheck{Subject{Check: "panics"}, func(context.Context) []Finding { panic(secret) }}
	answers := fakeCheck{subject: Subject{Check: "answers"}}
	answers.run = func(context.Context) []Finding { return []Finding{answers.subject.found(OK, "here", "")} }
	found := Run(t.Context(), []Check{panics, answers})
	if len(found) != 2 || found[0].State != Problem || found[0].Check != "panics" || found[1].State != OK {
		t.Fatalf("got %+v", found)
	}
	if strings.Contains(found[0].Seen, secret) {
		t.Errorf("the value of the panic is shown: %s", found[0].Seen)
	}
}

// A keychain has a key that nobody may open without asking.
type keychain struct{ t *testing.T }

func (k keychain) Open(context.Context, string) (signer.Signer, error) {
	k.t.Error("the key was opened")
	return nil, signer.ErrDenied
}

func (k keychain) List(context.Context) ([]signer.Info, error) {
	return []signer.Info{{Name: "ollama"}}, nil
}

// Reading from the Keychain of macOS may ask a person, so nothing is read.
func TestKeychainIsNotOpened(t *testing.T) {
	keys := signer.Mux{"keyring": listedOnly(keychain{t})}
	for ref, want := range map[string]error{"keyring:ollama": errNotOpened, "keyring:other": signer.ErrNotFound} {
		if _, err := keys.Open(t.Context(), ref); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", ref, err, want)
		}
	}
	choice := new(config.Config).Choose(config.Query{Flag: "keyring:ollama"})
	found := keyCheck{m: &Machine{}, choice: choice, keys: keys}.Run(t.Context())
	if len(found) != 1 || found[0].State != Note || !strings.Contains(found[0].Seen, "keyring:ollama") {
		t.Errorf("got %+v, want a note", found)
	}
}

const (
	seed        = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	fingerprint = "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8" // of its key
)

// machine returns a machine without a keychain, whose configuration is text.
func machine(t *testing.T, text string) *Machine {
	t.Helper()
	c, err := config.Parse([]byte(text), os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCTOR_KEY", seed)
	t.Setenv("DOCTOR_SAME", seed)
	return &Machine{
		Config:   c,
		Backends: backends.Set{Env: &env.Backend{}, File: &file.Backend{Dir: t.TempDir()}},
		Query:    config.Query{GOOS: runtime.GOOS, GOARCH: runtime.GOARCH},
	}
}

// brief returns a finding for each state and check, without the texts.
func brief(found []Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, strings.Join(strings.Fields(string(f.State)+" "+f.Check+" "+f.About), " "))
	}
	return all
}

func TestChecksOfKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		config string
		change func(*Machine)
		want   []string
	}{
		"a key":            {`keys = ["env:DOCTOR_KEY"]`, nil, []string{"ok key", "ok signature"}},
		"no key":           {`keys = ["env:DOCTOR_ABSENT"]`, nil, []string{"problem key"}},
		"an asked key":     {"", func(m *Machine) { m.Query.Flag = "env:DOCTOR_KEY" }, []string{"ok key", "ok signature"}},
		"a malformed name": {"", func(m *Machine) { m.Query.Flag = seed }, []string{"problem key"}},
		"keys of registries": {
			"keys = [\"env:DOCTOR_KEY\"]\n[registry.\"a.example\"]\nkeys = [\"env:DOCTOR_ABSENT\"]\n[registry.\"b.example\"]\ninsecure = true", nil,
			[]string{"ok key", "ok signature", "problem key a.example"},
		},
		"one registry": {
			"keys = [\"env:DOCTOR_KEY\"]\n[registry.\"a.example\"]\nkeys = [\"env:DOCTOR_ABSENT\"]",
			func(m *Machine) { m.Query.Registry = &url.URL{Scheme: "https", Host: "a.example"} },
			[]string{"problem key"},
		},
		"a limit of a reference": {
			"keys = [\"env:DOCTOR_KEY\"]\n[limit.\"env:DOCTOR_KEY\"]\npurposes = [\"ollama.registry\"]", nil, []string{"ok key", "ok signature"},
		},
		"a limit that another reference evades": {
			"keys = [\"env:DOCTOR_KEY\", \"env:DOCTOR_SAME\"]\n[limit.\"env:DOCTOR_KEY\"]\npurposes = [\"ollama.registry\"]", nil,
			[]string{"ok key", "ok signature", "warning limit env:DOCTOR_KEY"},
		},
		"a limit that an asked key evades": {
			"[limit.\"env:DOCTOR_KEY\"]\npurposes = [\"ollama.registry\"]", func(m *Machine) { m.Query.Flag = "env:DOCTOR_SAME" },
			[]string{"ok key", "ok signature", "warning limit env:DOCTOR_KEY"},
		},
		"a limit of the key": {
			"keys = [\"env:DOCTOR_KEY\", \"env:DOCTOR_SAME\"]\n[limit.\"" + fingerprint + "\"]\npurposes = [\"ollama.registry\"]", nil, []string{"ok key", "ok signature"},
		},
		"limits of both references": {
			"keys = [\"env:DOCTOR_KEY\", \"env:DOCTOR_SAME\"]\n[limit.\"env:DOCTOR_KEY\"]\npurposes = [\"ollama.registry\"]\n[limit.\"env:DOCTOR_SAME\"]\npurposes = [\"sshsig\"]", nil,
			[]string{"ok key", "ok signature"},
		},
		"a configuration with a mistake": {"", func(m *Machine) { m.ConfigErr = errors.New("line 1") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := machine(t, tt.config)
			if tt.change != nil {
				tt.change(m)
			}
			found := Run(t.Context(), m.Checks())
			stores := []string{"ok configuration", "ok env", "ok file"}
			if m.ConfigErr != nil {
				stores[0] = "problem configuration"
			}
			if diff := cmp.Diff(append(stores, tt.want...), brief(found)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%+v", diff, found)
			}
			for _, f := range found {
				if strings.Contains(f.Seen+f.Do, seed) {
					t.Errorf("a key is shown: %+v", f)
				}
				if f.State == Problem && f.Check == "key" && f.Do == "" && name == "no key" {
					t.Errorf("a problem without a remedy: %+v", f)
				}
			}
		})
	}
}

// A locked key is a problem unless a person can unlock it later.
func TestLockedKey(t *testing.T) {
	for _, present := range []bool{false, true} {
		locked := signer.OpenFunc(func(context.Context, string) (signer.Signer, error) { return nil, signer.ErrLocked })
		c := keyCheck{m: &Machine{PersonPresent: present}, choice: new(config.Config).Choose(config.Query{Flag: "keyring:x"}), keys: signer.Mux{"keyring": locked}}
		want := map[bool]State{false: Problem, true: Warning}[present]
		if found := c.Run(t.Context()); len(found) != 1 || found[0].State != want || found[0].Do == "" {
			t.Errorf("a person present: %v: got %+v, want a %s", present, found, want)
		}
	}
}

// A folder that is a file is a problem of the store, with a remedy of its own.
func TestFolderThatIsAFile(t *testing.T) {
	m := machine(t, `keys = ["file:mine"]`)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.Backends.File.Dir = path
	for _, f := range Run(t.Context(), m.Checks()) {
		if strings.Contains(f.Seen, "folderopen") || strings.HasPrefix(f.Seen, "open ") {
			t.Errorf("the words run together: %+v", f)
		}
	}
}

func TestServer(t *testing.T) {
	now := time.Now()
	const challenged = `Bearer realm="URL/token",service="registry",scope="repository:x:pull"`
	for name, tt := range map[string]struct {
		status int
		header map[string]string
		want   []string
		do     string
	}{
		"a challenge": {401, map[string]string{"WWW-Authenticate": challenged}, []string{"ok clock", "ok challenge", "ok realm"}, ""},
		"open":        {200, nil, []string{"ok clock", "note challenge"}, ""},
		"redirect":    {307, map[string]string{"Location": "https://user:secret@other.example/"}, []string{"ok clock", "warning challenge"}, "ask for https://user:xxxxx@other.example/"},
		"basic":       {401, map[string]string{"WWW-Authenticate": `Basic realm="x"`}, []string{"ok clock", "problem challenge"}, ""},
		"none":        {401, nil, []string{"ok clock", "problem challenge"}, ""},
		"no clock":    {200, map[string]string{"Date": ""}, []string{"note clock", "note challenge"}, ""},
		"clock off":   {200, map[string]string{"Date": now.Add(-time.Minute).UTC().Format(http.TimeFormat)}, []string{"warning clock", "note challenge"}, "set the clock"},
		"clock wrong": {200, map[string]string{"Date": now.Add(time.Hour).UTC().Format(http.TimeFormat)}, []string{"problem clock", "note challenge"}, "set the clock"},
		"other realm": {
			401,
			map[string]string{"WWW-Authenticate": `Bearer realm="https://login.example/token"`},
			[]string{"ok clock", "ok challenge", "problem realm"},
			"realms = [\"https://login.example\"]",
		},
		"impossible realm": {
			401,
			map[string]string{"WWW-Authenticate": `Bearer realm="https://me@login.example/token"`},
			[]string{"ok clock", "ok challenge", "problem realm"},
			"tell the operator",
		},
		"hostile realm": {
			401,
			map[string]string{"WWW-Authenticate": "Bearer realm=\"https://\u202elogin.example/\u009b2K\""},
			[]string{"ok clock", "ok challenge", "problem realm"},
			"tell the operator",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				for name, value := range tt.header {
					w.Header()[http.CanonicalHeaderKey(name)] = []string{strings.ReplaceAll(value, "URL", "http://"+req.Host)}
				}
				w.WriteHeader(tt.status)
			}))
			defer s.Close()
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			found := serverCheck{&Machine{Config: &config.Config{}, Server: u}}.Run(t.Context())
			if diff := cmp.Diff(append([]string{"ok server"}, tt.want...), brief(found), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s\n%+v", diff, found)
			}
			if last := found[len(found)-1]; tt.do != "" && !strings.Contains(last.Do+found[1].Do, tt.do) {
				t.Errorf("got the remedy %q, want %q", last.Do, tt.do)
			}
		})
	}
}
