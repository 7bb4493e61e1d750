package keyfile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

func TestRead(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	for _, size := range []int{0, 1, keyfile.MaxSize} {
		want := bytes.Repeat([]byte{'k'}, size)
		write(t, path, want)
		got, _, err := keyfile.Read(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Read of %d bytes: got %d bytes, %v", size, len(got), err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	dir := tempDir(t)
	large := filepath.Join(dir, "large")
	write(t, large, make([]byte, keyfile.MaxSize+1))

	tests := []struct {
		path string
		want string
		is   error // nil: none of the sentinels
	}{
		{filepath.Join(dir, "absent"), "absent", signer.ErrNotFound},
		{large, "more than 65536 bytes", nil},
		{dir, "is a directory", nil},
		{os.DevNull, "is a device", nil},
	}
	for _, tt := range tests {
		_, _, err := keyfile.Read(tt.path)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path) {
			t.Errorf("Read(%s) = %v, want an error with the path and %q", tt.path, err, tt.want)
		}
		if errors.Is(err, signer.ErrNotFound) != (tt.is == signer.ErrNotFound) {
			t.Errorf("Read(%s) = %v, want %v", tt.path, err, tt.is)
		}
	}
}

// A file that is much larger is not read to its end.
func TestReadIsLimited(t *testing.T) {
	path := filepath.Join(tempDir(t), "large")
	write(t, path, nil)
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := keyfile.Read(path); err == nil {
		t.Error("Read succeeded")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16*keyfile.MaxSize {
		t.Errorf("it takes %d bytes of memory", n)
	}
}

func TestStale(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, path string)
		want   bool
	}{
		{"untouched", func(*testing.T, string) {}, false},
		{"read", func(t *testing.T, path string) {
			if _, _, err := keyfile.Read(path); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"rewritten, longer, within one tick of the clock", func(t *testing.T, path string) {
			write(t, path, []byte("longer"))
			touch(t, path, time.Unix(1e9, 0))
		}, true},
		{"rewritten, as long", func(t *testing.T, path string) {
			write(t, path, []byte("new"))
			touch(t, path, time.Unix(2e9, 0))
		}, true},
		{"replaced by one as old and as long", func(t *testing.T, path string) {
			write(t, path+".new", []byte("new"))
			touch(t, path+".new", time.Unix(1e9, 0))
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"removed", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(tempDir(t), "key")
			write(t, path, []byte("old"))
			touch(t, path, time.Unix(1e9, 0))
			_, snap, err := keyfile.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			tt.change(t, path)
			if got := snap.Stale(); got != tt.want {
				t.Errorf("Stale() = %v, want %v", got, tt.want)
			}
		})
	}
}

// tempDir is t.TempDir without its check that the directory could be removed:
// Wine cannot.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "countersign-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string, when time.Time) {
	t.Helper()
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}
