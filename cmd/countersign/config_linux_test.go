package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/terminal/terminaltest"
)

// A terminal as the configuration file gives no answer, as a network file system
// may not.
func TestConfigFileThatHangs(t *testing.T) {
	_, program := terminaltest.Open(t)
	defer program.Close()
	for _, tt := range []struct{ config, args string }{
		{program.Name(), "config check"},
		{program.Name(), "whoami"},
		{os.DevNull, "config check " + program.Name()},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, "countersign", append([]string{"--timeout", "100ms"}, strings.Fields(tt.args)...)...)
		cmd.Env = append(os.Environ(), "COUNTERSIGN_CONFIG="+tt.config)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(out), "stopped after 100ms (--timeout)") {
			t.Errorf("%s with %s: exit code %d, %s", tt.args, tt.config, code, out)
		}
		cancel()
	}
}
