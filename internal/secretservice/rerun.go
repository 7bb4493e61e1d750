package secretservice

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
)

const inside = "SECRETSERVICE_INSIDE"

// Rerun reports whether the test runs on the bus of a Session. If not, it
// starts one, runs the test again on it in another process, and passes on the
// outcome:
//
//	if !secretservice.Rerun(t, secretservice.Start) {
//		return
//	}
//
// A program's D-Bus library connects when the program starts, so a test cannot
// give its own process a bus.
func Rerun(t *testing.T, start func(testing.TB) *Session) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$")
	cmd.Env = append(start(t).Env(), inside+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("on a private bus: %v", err)
	}
	t.Logf("on a private bus:\n%s", out)
	return false
}
