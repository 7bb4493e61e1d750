//go:build unix

package plugin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/backends/plugin"
)

// program returns a backend with a plugin named "odd", which is a script.
func program(t *testing.T, text string) *plugin.Backend {
	t.Helper()
	path := filepath.Join(tempDir(t), "odd")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return &plugin.Backend{Programs: map[string]plugin.Program{"odd": {Path: path}}}
}

func TestProgramThatCannotStart(t *testing.T) {
	_, err := program(t, "#!/no/such/interpreter\n").Open(t.Context(), "odd:key")
	if err == nil || !strings.Contains(err.Error(), "it cannot be started") {
		t.Errorf("got %v", err)
	}
}

// The caller's own end is no fault of the plugin.
func TestCallerThatLeaves(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := program(t, "#!/bin/sh\nexec sleep 60\n").Open(ctx, "odd:key")
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "gave no answer") {
		t.Errorf("got %v", err)
	}
}
