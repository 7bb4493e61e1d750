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
	name    string
	backend func() signer.Backend
	fails   string // the part of the suite that must find it
	says    string // in what it prints
}

// TestBroken runs the suite against each broken backend in a process of its
// own, this test binary again, where it must fail.
func TestBroken(t *testing.T) {
	const child = "SIGNERTEST_BROKEN"
	for _, b := range slices.Concat(brokenSigners(), brokenStores(), brokenCreation(), brokenKeeping(), leaks()) {
		t.Run(b.name, func(t *testing.T) {
			if os.Getenv(child) != "" {
				signertest.Run(t, func(*testing.T) signertest.Store {
					return signertest.Store{Backend: b.backend()}
				})
				return
			}
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$/^"+b.name+"$/^"+b.fails+"$")
			cmd.Env = append(os.Environ(), child+"=1", "GORACE=atexit_sleep_ms=0") // not a second for each
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the suite finds nothing:\n%s", out)
			}
			for _, want := range []string{"--- FAIL: " + t.Name() + "/" + b.fails + " ", b.says} {
				if !strings.Contains(string(out), want) {
					t.Errorf("the suite does not say %q:\n%s", want, out)
				}
			}
		})
	}
}
