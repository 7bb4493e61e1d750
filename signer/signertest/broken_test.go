package signertest_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A broken backend breaks the contract in one way.
type broken struct {
	name  string
	store func(*testing.T) signertest.Store
	fails string // the part of the suite that must find it
	says  string // part of its message
}

// just makes stores that have a backend and nothing else.
func just(b func() signer.Backend) func(*testing.T) signertest.Store {
	return func(*testing.T) signertest.Store { return signertest.Store{Backend: b()} }
}

// TestBroken runs the suite against broken backends, where it must fail. It
// does so for real, in processes of their own: this test binary again, once for
// each part of the suite.
func TestBroken(t *testing.T) {
	const variable = "SIGNERTEST_BROKEN"
	parts := map[string][]broken{}
	for _, b := range slices.Concat(brokenSigners(), brokenAlgorithms(), brokenStores(), brokenCreation(), brokenKeeping(), brokenFiles(), brokenUnusable(), brokenProbes(), leaks()) {
		parts[b.fails] = append(parts[b.fails], b)
	}
	if part := os.Getenv(variable); part != "" {
		runBroken(t, parts[part])
		return
	}
	for part, backends := range parts {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$/./^"+part+"$")
			cmd.Env = append(os.Environ(), variable+"="+part, "GORACE=atexit_sleep_ms=0") // not a second for each
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the suite finds nothing:\n%s", out)
			}
			for _, b := range backends {
				checkFailure(t, b, string(out))
			}
		})
	}
}

func runBroken(t *testing.T, backends []broken) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			signertest.Run(t, b.store)
		})
	}
}

// checkFailure looks for the failure of b in the output of package testing.
func checkFailure(t *testing.T, b broken, out string) {
	t.Helper()
	head := "--- FAIL: TestBroken/" + strings.ReplaceAll(b.name, " ", "_") + "/" + b.fails + " "
	_, failure, found := strings.Cut(out, head)
	if !found {
		t.Errorf("%s: the suite finds nothing:\n%s", b.name, out)
		return
	}
	failure, _, _ = strings.Cut(failure, "--- FAIL: ")
	if !strings.Contains(failure, b.says) {
		t.Errorf("%s: the suite does not say %q:\n%s", b.name, b.says, failure)
	}
}
