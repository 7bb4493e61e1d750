package keyring_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
)

// A state is one way in which the Secret Service does not hand out a key.
type state struct {
	name    string
	kinds   []string // all kinds that the error wraps
	text    string   // in the error
	heading string   // in docs/keychain.md
	outcome func(t *testing.T) outcome
}

var (
	// defaults are for the states that a time-out ends.
	defaults = settings{Stores: []keyring.Store{keyring.SecretService}}

	secretServiceOnly = patient(keyring.SecretService)
)

func withPrompt(d time.Duration) settings {
	s := patient(keyring.SecretService)
	s.PromptTimeout = d
	return s
}

// openIn opens a key in a program of its own.
func openIn(t *testing.T, env []string, s settings) outcome {
	t.Helper()
	return startWorker(t, env, s).do("open", "key")
}

// timed measures from an event that the worker does not know, such as an answer to
// a prompt.
func timed(event func() outcome) outcome {
	start := time.Now()
	r := event()
	r.Took = time.Since(start)
	return r
}

// locked returns a session whose keyring holds a key and is locked, and whose
// prompts come up on a display.
func locked(t *testing.T) (*secretservice.Session, *secretservice.Display) {
	t.Helper()
	display := secretservice.StartDisplay(t)
	s := secretservice.StartBus(t, display.Env())
	s.AddPrompter()
	s.StartKeyring("password")
	generate(t, s, "key")
	s.Lock()
	return s, display
}

func generate(t *testing.T, s *secretservice.Session, name string) outcome {
	t.Helper()
	r := startWorker(t, s.Env(), secretServiceOnly).do("generate", name)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	return r
}

var states = []state{
	{
		"no bus",
		[]string{"ErrUnavailable"},
		"DBUS_SESSION_BUS_ADDRESS is not set", "no-bus",
		func(t *testing.T) outcome {
			return openIn(t, []string{"XDG_RUNTIME_DIR=" + t.TempDir()}, secretServiceOnly)
		},
	},
	{
		"bus gone before the program starts",
		[]string{"ErrUnavailable"},
		"no such file or directory", "no-bus",
		func(t *testing.T) outcome {
			return openIn(t, []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(t.TempDir(), "bus")}, secretServiceOnly)
		},
	},
	{
		"bus gone while the program runs",
		[]string{"ErrUnavailable"},
		"connection refused", "no-bus",
		func(t *testing.T) outcome {
			s := secretservice.Start(t)
			w := startWorker(t, s.Env(), secretServiceOnly)
			w.do("open", "key")
			s.KillBus()
			return w.do("open", "key")
		},
	},
	{
		"bus accepts and never answers",
		[]string{"DeadlineExceeded"},
		"accepts connections and does not answer", "dead-bus",
		func(t *testing.T) outcome {
			return openIn(t, deadBus(t), defaults)
		},
	},
	{
		"bus stops answering while the program runs",
		[]string{"DeadlineExceeded"},
		"does not answer", "dead-bus",
		func(t *testing.T) outcome {
			s := secretservice.Start(t)
			w := startWorker(t, s.Env(), defaults)
			w.do("open", "key")
			freeze(t, s.Bus())
			return w.do("open", "key")
		},
	},
	{
		"bus without a secret service",
		[]string{"ErrUnavailable"},
		"no program on the D-Bus session bus provides it", "no-service",
		func(t *testing.T) outcome { return openIn(t, secretservice.StartBus(t).Env(), secretServiceOnly) },
	},
	{
		"service whose activation hangs",
		[]string{"DeadlineExceeded"},
		"did not come up within 3s", "activation",
		func(t *testing.T) outcome {
			s := secretservice.StartBus(t)
			s.AddService("org.freedesktop.secrets", fmt.Sprintf("/bin/sh -c 'while test -d %s; do sleep 0.1; done'", s.Dir()))
			return openIn(t, s.Env(), defaults)
		},
	},
	{
		"service that stops answering",
		[]string{"DeadlineExceeded"},
		"does not answer", "no-answer",
		func(t *testing.T) outcome {
			s := secretservice.Start(t)
			freeze(t, s.Keyring())
			return openIn(t, s.Env(), defaults)
		},
	},
	{
		"service there, never unlocked",
		[]string{"ErrLocked"},
		"has no default keyring", "never-unlocked",
		func(t *testing.T) outcome {
			s := secretservice.StartBus(t)
			s.StartKeyring("")
			return openIn(t, s.Env(), secretServiceOnly)
		},
	},
	{
		"keyring locked, nobody to ask",
		[]string{"ErrLocked"},
		"nobody was asked to unlock it", "locked",
		func(t *testing.T) outcome {
			s, _ := locked(t)
			return openIn(t, s.Env(), secretServiceOnly)
		},
	},
	{
		"keyring locked, no display to ask on",
		[]string{"ErrLocked"},
		"there is no display", "locked",
		func(t *testing.T) outcome {
			s := secretservice.Start(t)
			generate(t, s, "key")
			s.Lock()
			return openIn(t, s.Env(), withPrompt(time.Minute))
		},
	},
	{
		"prompt dismissed",
		[]string{"ErrDenied"},
		"was dismissed", "dismissed",
		func(t *testing.T) outcome {
			s, display := locked(t)
			w := startWorker(t, s.Env(), withPrompt(time.Minute))
			w.start("open", "key")
			display.AwaitPrompt()
			return timed(func() outcome { display.Dismiss(); return w.finish() })
		},
	},
	{
		"prompt open, nobody there",
		[]string{"ErrLocked", "DeadlineExceeded"},
		"nobody answered it", "no-answer",
		func(t *testing.T) outcome {
			s, display := locked(t)
			r := openIn(t, s.Env(), withPrompt(3*time.Second))
			display.AwaitNoPrompt()
			return r
		},
	},
	{
		"bus dies while a prompt is open",
		[]string{"ErrUnavailable"},
		"ended while a prompt was open", "bus-died",
		func(t *testing.T) outcome {
			s, display := locked(t)
			w := startWorker(t, s.Env(), withPrompt(time.Minute))
			w.start("open", "key")
			display.AwaitPrompt()
			return timed(func() outcome { s.KillBus(); return w.finish() })
		},
	},
	{
		"KeePassXC without a group for other programs",
		[]string{"ErrLocked"},
		"no open database has a group", "keepassxc-group",
		func(t *testing.T) outcome {
			s, _ := secretservice.StartKeePassXC(t, secretservice.KeePassXC{NoGroup: true})
			return openIn(t, s.Env(), secretServiceOnly)
		},
	},
	{
		"KeePassXC asks for each item, nobody to ask",
		[]string{"ErrLocked"},
		`the item "countersign:key" is locked, and nobody was asked`, "keepassxc-locked",
		func(t *testing.T) outcome {
			s, _, _ := confirming(t)
			return openIn(t, s.Env(), secretServiceOnly)
		},
	},
	{
		"KeePassXC asks for each item, answered with no",
		[]string{"ErrDenied"},
		"was dismissed", "dismissed",
		func(t *testing.T) outcome {
			s, display, _ := confirming(t)
			w := startWorker(t, s.Env(), withPrompt(time.Minute))
			w.start("open", "key")
			display.AwaitPrompt()
			return timed(func() outcome { display.Dismiss(); return w.finish() })
		},
	},
	{
		"item absent",
		[]string{"ErrNotFound"},
		"secret-service", "",
		func(t *testing.T) outcome { return openIn(t, secretservice.Start(t).Env(), secretServiceOnly) },
	},
	{
		"item that is not a key", nil, "cannot be used as a key", "not-a-key",
		func(t *testing.T) outcome {
			s := secretservice.Start(t)
			s.Run("correct horse", "secret-tool", "store", "--label=a password", "profile", "countersign:key")
			return openIn(t, s.Env(), secretServiceOnly)
		},
	},
	{
		"service killed between opening and signing", nil, "", "",
		func(t *testing.T) outcome {
			s := secretservice.Start(t)
			generate(t, s, "key")
			w := startWorker(t, s.Env(), secretServiceOnly)
			if r := w.do("open", "key"); r.Error != "" {
				t.Fatal(r.Error)
			}
			s.KillKeyring()
			return w.do("sign", "key")
		},
	},
}

var update = flag.Bool("update", false, "write the table of states to docs/keychain.md")

// TestStates makes each state with real programs and opens a key in it. The table
// of states in docs/keychain.md is its output: go test . -run TestStates -update.
func TestStates(t *testing.T) {
	rows := make([]string, len(states))
	docs := readDocs(t)
	t.Run("all", func(t *testing.T) {
		for i, s := range states {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				r := s.outcome(t)
				s.check(t, r)
				rows[i] = s.row(r)
				if !*update && !strings.Contains(docs, rows[i]) {
					t.Errorf("docs/keychain.md does not have this row; run go test . -run TestStates -update\n%s", rows[i])
				}
				rows[i] += fmt.Sprintf(" %.1f s |\n", r.Took.Seconds())
			})
		}
	})
	if *update && !t.Failed() && !slices.Contains(rows, "") {
		writeTable(t, docs, "| State | Error | `errors.Is` | Cure | After |\n|---|---|---|---|---|\n"+strings.Join(rows, ""))
	}
}

func (s state) check(t *testing.T, r outcome) {
	t.Helper()
	t.Logf("after %v: %s", r.Took.Round(time.Millisecond), r.Error)
	if !slices.Equal(r.Kinds, s.kinds) {
		t.Errorf("the error is %v, want %v: %s", r.Kinds, s.kinds, r.Error)
	}
	if !strings.Contains(r.Error, s.text) || (r.Error == "") != (s.text == "") {
		t.Errorf("the error does not say %q: %s", s.text, r.Error)
	}
	if s.heading != "" && (r.Hint.See != "keychain#"+s.heading || r.Hint.Do == "") {
		t.Errorf("the hint is %+v, want the heading %q", r.Hint, s.heading)
	}
}

// row returns a line of the table, without the time.
func (s state) row(r outcome) string {
	text := "none: the key is held in memory"
	if r.Error != "" {
		text = regexp.MustCompile(`/[^ :]*/bus\b`).ReplaceAllString(r.Error, "SOCKET") // a temporary directory's
	}
	cure := ""
	if s.heading != "" {
		cure = "[" + s.heading + "](#" + s.heading + ")"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", s.name, strings.ReplaceAll(text, "|", `\|`), strings.Join(r.Kinds, ", "), cure)
}

// deadBus is a socket that takes connections and never answers.
func deadBus(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=" + socket}
}

// freeze stops a process as a debugger does. It is killed with its session.
func freeze(t *testing.T, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}
