package filelock_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/internal/filelock"
)

// holder names the file that this test binary locks when it runs as a child.
const holder = "COUNTERSIGN_TEST_HOLDER"

func TestMain(m *testing.M) {
	if name := os.Getenv(holder); name != "" {
		hold(name)
	}
	os.Exit(m.Run())
}

// hold locks name, says so, and holds the lock until stdin ends.
func hold(name string) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err == nil {
		err = filelock.Try(f)
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("locked\n")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func open(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTryInOneProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	first, second := open(t, name), open(t, name)
	if err := filelock.Try(first); err != nil {
		t.Fatal(err)
	}
	if err := filelock.Try(second); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("locked twice: %v", err)
	}
	if _, err := second.WriteString("x"); err != nil {
		t.Errorf("the lock keeps others from writing: %v", err)
	}
	first.Close()
	if err := filelock.Try(second); err != nil {
		t.Errorf("still locked after the file was closed: %v", err)
	}
}

// TestLockEndsWithItsProcess kills the process that holds the lock.
func TestLockEndsWithItsProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	f := open(t, name)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), holder+"="+name)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := filelock.Try(f); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("locked although another process holds the lock: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	if err := filelock.Try(f); err != nil {
		t.Errorf("still locked after its process was killed: %v", err)
	}
}
