package secretservice

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const inside = "SECRETSERVICE_INSIDE"

// Rerun reports whether the test runs on the bus of a Session. If not, it
// starts one, runs the test again on it in another process, and passes on the
// outcome:
//
//	if !secretservice.Rerun(t) {
//		return
//	}
//
// A program's D-Bus library connects when the program starts, so a test cannot
// give its own process a bus.
func Rerun(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return true
	}
	rerun(t, Start(t).Env())
	return false
}

func rerun(t *testing.T, env []string) {
	t.Helper()
	var elements []string
	for _, element := range strings.Split(t.Name(), "/") {
		elements = append(elements, "^"+regexp.QuoteMeta(element)+"$")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+strings.Join(elements, "/"), "-test.v", "-test.paniconexit0")
	cmd.Env = append(env, inside+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("on a private bus: %v\n%s", err, out)
		return
	}
	t.Logf("on a private bus:\n%s", out)
}
