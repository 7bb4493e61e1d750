//go:build unix

package keyfile_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/internal/keyfile"
)

// Opening a named pipe that nobody writes to waits for ever.
func TestReadNamedPipe(t *testing.T) {
	pipe := filepath.Join(tempDir(t), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keyfile.Read(pipe); err == nil || !strings.Contains(err.Error(), "is a named pipe") {
		t.Errorf("Read = %v", err)
	}
}
