package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/secretservice"
)

// A rotationTest has a key at ref, which prints as old.
type rotationTest struct {
	commandShell
	ref, old, server string
}

func newRotationTest(t *testing.T, ref string, env []string) rotationTest {
	t.Helper()
	sh := commandShell{t, t.TempDir(), env}
	writeFile(t, filepath.Join(sh.dir, "config.toml"), "[keyring]\ntimeout = \"1m\"\n") // for a busy machine
	sh.env = append(slices.Clip(sh.env), "COUNTERSIGN_CONFIG="+filepath.Join(sh.dir, "config.toml"))
	registry := startDemoRegistry(t)
	t.Cleanup(func() {
		for _, suffix := range []string{"", ".new", ".old"} { // the stores of tests are shared
			cmd := exec.Command("countersign", "key", "delete", "--yes", ref+suffix)
			cmd.Dir, cmd.Env = sh.dir, sh.env
			_ = cmd.Run()
		}
	})
	return rotationTest{sh, ref, sh.run(0, "", "countersign", "key", "generate", ref), registry.URL}
}

func (r rotationTest) args(flags ...string) []string {
	return append([]string{"countersign", "key", "rotate", "--server", r.server, r.ref}, flags...)
}

// key returns a key as "key show" prints it, or "" if there is none.
func (r rotationTest) key(ref string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "countersign", "key", "show", ref)
	cmd.Dir, cmd.Env = r.dir, r.env
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != exitNoKey {
		r.t.Fatalf("a broken key at %s: %v", ref, err)
	}
	return string(out)
}

// checkDone wants the new key at ref, the old key beside it, and no third key.
func (r rotationTest) checkDone() {
	r.t.Helper()
	if got := r.key(r.ref); got == r.old || got == "" {
		r.t.Errorf("%s is %q, want a new key", r.ref, got)
	}
	if got := r.key(r.ref + ".old"); got != r.old {
		r.t.Errorf("%s.old is %q, want the old key %q", r.ref, got, r.old)
	}
	if got := r.key(r.ref + ".new"); got != "" {
		r.t.Errorf("%s.new is %q, want no key", r.ref, got)
	}
}

func TestRotate(t *testing.T) {
	for _, ref := range []string{"file:sub/key", "keyring:rotated"} {
		t.Run(ref, func(t *testing.T) {
			r := newRotationTest(t, ref, secretservice.Start(t).Env())
			got := r.run(0, "", r.args()...)
			r.checkDone()
			if want := "already connected to " + r.server; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, r.key(ref)) {
				t.Errorf("rotate prints %q, want %q and the new key", got, want)
			}
			now := r.key(ref)
			r.run(1, "", r.args()...) // the old key must be deleted first
			r.run(2, "", r.args("--delete-old")...)
			r.checkDone()
			r.run(0, "", r.args("--delete-old", "--no-connect", "--yes")...)
			if got := []string{r.key(ref), r.key(ref + ".old"), r.key(ref + ".new")}; got[0] != now || got[1] != "" || got[2] != "" {
				t.Errorf("after --delete-old there are %q", got)
			}
			r.run(3, "", r.args("--delete-old", "--yes")...)
			r.run(0, "", r.args("--no-connect")...)
			if got := r.key(ref + ".old"); got != now {
				t.Errorf("after the second rotation the old key is %q, want %q", got, now)
			}
		})
	}
}

// TestRotateFromEachState has each state in which a run can have been killed.
func TestRotateFromEachState(t *testing.T) {
	session := secretservice.Start(t)
	for _, ref := range []string{"file:key", "keyring:stopped"} {
		// The commands that lead from each state to the next one.
		steps := [][]string{
			{"rotate", "--prepare", ref},
			{"copy", ref, ref + ".old"},
			{"delete", "--yes", ref},
			{"copy", ref + ".new", ref},
		}
		for n := range len(steps) + 1 {
			t.Run(ref+" after "+string(rune('0'+n))+" steps", func(t *testing.T) {
				r := newRotationTest(t, ref, session.Env())
				for _, step := range steps[:n] {
					r.run(0, "", append([]string{"countersign", "key"}, step...)...)
				}
				next := r.key(ref + ".new")
				if n > 1 {
					r.run(1, "", r.args("--delete-old", "--yes")...) // it is not finished
				}
				r.run(0, "", r.args()...)
				r.checkDone()
				if got := r.key(ref); next != "" && got != next {
					t.Errorf("%s is %q, want the key that was prepared: %q", ref, got, next)
				}
			})
		}
	}
}

// TestRotateKilled kills a rotation, later each time. No key is lost, and the next run
// finishes.
func TestRotateKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: kills many processes")
	}
	session := secretservice.Start(t)
	for _, ref := range []string{"file:key", "keyring:killed"} {
		killed := 0
		for delay := 5 * time.Millisecond; delay < 400*time.Millisecond; delay += 15 * time.Millisecond {
			r := newRotationTest(t, ref, session.Env())
			ctx, cancel := context.WithTimeout(t.Context(), delay)
			args := r.args()
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Dir, cmd.Env = r.dir, r.env
			ended := cmd.Run() == nil
			cancel()
			if r.key(ref) != r.old && r.key(ref+".old") != r.old {
				t.Fatalf("%s, killed after %v: the old key is lost", ref, delay)
			}
			if !ended {
				killed++
				r.finish()
			}
			r.checkDone()
			for _, suffix := range []string{"", ".old"} {
				r.run(0, "", "countersign", "key", "delete", "--yes", ref+suffix)
			}
			if ended {
				break // later is the same
			}
		}
		if killed < 3 {
			t.Errorf("%s: only %d runs were killed", ref, killed)
		}
	}
}

// finish runs the rotation again. If it was killed after its last step, it says that it
// is done.
func (r rotationTest) finish() {
	r.t.Helper()
	if r.key(r.ref+".new") == "" && r.key(r.ref+".old") != "" {
		r.run(1, "", r.args()...)
		return
	}
	r.run(0, "", r.args()...)
}

// The server must accept the new key before the old one is touched.
func TestRotateWaitsForServer(t *testing.T) {
	r := newRotationTest(t, "file:key", os.Environ())
	r.server = "http://127.0.0.1:1" // nobody listens
	told := r.run(1, "", "sh", "-c", "exec "+strings.Join(r.args(), " ")+" 2>&1")
	if !strings.Contains(told, "file:key was not changed") {
		t.Errorf("rotate tells %q", told)
	}
	if got := r.key("file:key"); got != r.old || r.key("file:key.old") != "" {
		t.Errorf("file:key is %q, want the old key and no copy of it", got)
	}
}

// A new key file has the passphrase of the old one.
func TestRotateKeepsPassphrase(t *testing.T) {
	r := newRotationTest(t, "file:open", os.Environ())
	writeFile(t, filepath.Join(r.dir, "passphrase"), "correct")
	r.ref = "file:locked"
	r.old = r.run(0, "", "countersign", "key", "generate", "--new-passphrase-file", "passphrase", r.ref)
	r.run(exitLocked, "", r.args()...)
	r.run(0, "", r.args("--passphrase-file", "passphrase")...)
	r.checkDone()
	for _, ref := range []string{r.ref, r.ref + ".old"} {
		r.run(exitLocked, "", "countersign", "key", "export", ref)
		r.run(0, "", "countersign", "key", "export", "--passphrase-file", "passphrase", ref)
	}
}

// A place that cannot be given to the new key is found before anything is done.
func TestRotateRefusesPlaces(t *testing.T) {
	r := newRotationTest(t, "file:key", os.Environ())
	if err := os.Symlink("key", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.run(1, "", "countersign", "key", "rotate", "--no-connect", "file:link")
	writeFile(t, filepath.Join(r.dir, "key.pub"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4\n")
	r.run(1, "", r.args()...)
	if got := r.key("file:key"); got != r.old || r.key("file:key.new") != "" || r.key("file:link.new") != "" {
		t.Errorf("file:key is %q, or there is a new key", got)
	}
	r.run(exitNoKey, "", "countersign", "key", "rotate", "--no-connect", "file:missing")
	r.run(1, "", "countersign", "key", "rotate", "--no-connect", "env:KEY")
}
