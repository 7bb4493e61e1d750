package leftovers

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	failures int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failures++ }

func TestCheck(t *testing.T) {
	before := Now()
	before.Check(t)

	end := make(chan struct{})
	go func() { <-end }()
	r := &recorder{}
	if before.check(r, 0); r.failures != 1 {
		t.Errorf("a goroutine is left, and %d failures are told", r.failures)
	}
	close(end)
	before.Check(t)

	if runtime.GOOS == "windows" {
		return // it does not tell open files
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "open"))
	if err != nil {
		t.Fatal(err)
	}
	r = &recorder{}
	if before.check(r, 0); r.failures != 1 {
		t.Errorf("a file is left open, and %d failures are told", r.failures)
	}
	f.Close()
	before.Check(t)
}
