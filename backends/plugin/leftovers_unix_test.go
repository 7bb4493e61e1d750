//go:build unix

package plugin_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/internal/leftovers"
	"github.com/countersign/countersign/signer"
)

// newPipe makes the pipe that plugins open when they have started. The result waits
// until all of them, and their children, are dead.
func newPipe(t *testing.T) (awaitEnd func()) {
	t.Helper()
	path := filepath.Join(os.Getenv("HOME"), "started")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0) // opens at once; its writing end is closed below
	if err != nil {
		t.Fatal(err)
	}
	reading, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reading.Close() })
	return func() {
		t.Helper()
		pipe.Close()
		if _, err := io.ReadAll(reading); err != nil {
			t.Error(err)
		}
	}
}

// awaitStart waits until a plugin has started.
func awaitStart(t *testing.T) {
	t.Helper()
	f, err := os.Open(filepath.Join(os.Getenv("HOME"), "started"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, make([]byte, len("started"))); err != nil {
		t.Fatal(err)
	}
}

func TestContextEndsPlugin(t *testing.T) {
	for _, name := range []string{"hang", "closes", "staysand"} {
		b := backend(t, name, "started")
		linkChild(t, b, name)
		ended := newPipe(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := b.Open(ctx, name+":key")
			done <- err
		}()
		awaitStart(t)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Open = %v", name, err)
		}
		ended() // hangs if a process is left
	}
}

// linkChild puts the program of the plugin's child beside the plugin.
func linkChild(t *testing.T, b *plugin.Backend, name string) {
	t.Helper()
	child := b.Programs["started"].Path
	if err := os.Symlink(child, filepath.Join(filepath.Dir(b.Programs[name].Path), filepath.Base(child))); err != nil {
		t.Fatal(err)
	}
	delete(b.Programs, "started")
}

// A child that stays after the plugin's end is killed with the group.
func TestChildThatStays(t *testing.T) {
	b := backend(t, "stays", "started")
	linkChild(t, b, "stays")
	ended := newPipe(t)
	if _, err := b.Open(t.Context(), "stays:key"); err != nil {
		t.Errorf("Open = %v", err)
	}
	ended()
}

func TestNothingIsLeft(t *testing.T) {
	b := backend(t, "good", "flood", "exit", "mute")
	call := func() {
		for name := range b.Programs {
			k, err := b.Open(t.Context(), name+":key")
			if err == nil {
				_, err = k.Sign(t.Context(), []byte("message"))
			}
			if name == "good" && err != nil {
				t.Fatal(err)
			}
		}
	}
	call() // starts what a process starts once
	before := leftovers.Now()
	for range 5 {
		call()
	}
	before.Check(t)
	if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("a child is left: wait returned %v", err)
	}
}

func TestTimeout(t *testing.T) {
	b := backend(t, "hang")
	pipe := newPipe(t)
	b.Timeout = 100 * time.Millisecond
	_, err := b.Open(t.Context(), "hang:key")
	if !errors.Is(err, context.DeadlineExceeded) || signer.IsAbsent(err) {
		t.Errorf("Open = %v", err)
	}
	pipe()
}
