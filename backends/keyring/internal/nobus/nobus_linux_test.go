package nobus

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRestore runs this test binary again with each environment: Go initialised
// this process's own copy of the package long before the test.
func TestRestore(t *testing.T) {
	const child = "NOBUS_TEST_CHILD"
	if os.Getenv(child) != "" {
		during := os.Getenv(variable)
		Restore()
		value, isSet := os.LookupEnv(variable)
		os.Stdout.WriteString(during + "," + value + ",")
		if isSet {
			os.Stdout.WriteString("set")
		}
		os.Stdout.WriteString("\n")
		os.Exit(0)
	}
	for _, tt := range []struct{ env, want string }{
		{"OTHER=", "disabled:,,"},
		{variable + "=", "disabled:,,set"},
		{variable + "=unix:path=/run/bus", "disabled:,unix:path=/run/bus,set"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRestore$")
		cmd.Env = []string{child + "=1", tt.env, "GORACE=" + os.Getenv("GORACE")}
		out, err := cmd.Output()
		if err != nil || strings.TrimSpace(string(out)) != tt.want {
			t.Errorf("with %s: %s, %v, want %s", tt.env, out, err, tt.want)
		}
	}
}
