//go:build unix

package agentserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/filelock"
	"github.com/countersign/countersign/internal/leftovers"
	"github.com/countersign/countersign/signer"
)

// socketVariable makes the test binary an agent that listens at this path until it is
// killed.
const socketVariable = "AGENTSERVER_TEST_SOCKET"

func TestMain(m *testing.M) {
	path := os.Getenv(socketVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	l, err := Listen(context.Background(), path)
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("ready\n")
	s, _ := newServer()
	_ = s.Serve(context.Background(), l)
}

// socketFolder returns a folder with a short path.
func socketFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agentserver-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestListenModes(t *testing.T) {
	dir := socketFolder(t)
	path := filepath.Join(dir, "new", "folder", "s")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]fs.FileMode{path: fs.ModeSocket | 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	f, err := os.Create(filepath.Join(dir, "file")) // the process has its usual mask again
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != modeOfNewFile(t) {
		t.Errorf("a new file has the mode %v, %v", info.Mode(), err)
	}
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestListenLeavesOtherSocket replaces the socket while it is used. The first listener must
// not remove the socket of the second one.
func TestListenLeavesOtherSocket(t *testing.T) {
	path := filepath.Join(socketFolder(t), "s")
	first, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the second socket is gone: %v", err)
	}
	conn.Close()
}

// modeOfNewFile returns the mode of a file that another process makes.
func modeOfNewFile(t *testing.T) fs.FileMode {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := exec.Command("touch", path).Run(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestListenAfterKill has the sockets of a living and of a killed agent.
func TestListenAfterKill(t *testing.T) {
	path := filepath.Join(socketFolder(t), "s")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), socketVariable+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("with a living agent: %v", err)
	} else if h, ok := signer.HintOf(err); !ok || !strings.Contains(h.Do, "--socket") {
		t.Errorf("hint %v", h)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the living agent lost its socket: %v", err)
	}
	conn.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the killed agent left no socket, so this tests nothing: %v", err)
	}
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestListenRefuses(t *testing.T) {
	dir := socketFolder(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		file:                               fs.ErrExist,
		dir:                                fs.ErrExist,
		filepath.Join(open, "s"):           signer.ErrInsecure,
		filepath.Join(file, "s"):           nil,
		"/" + strings.Repeat("long/", 100): nil,
	} {
		l, err := Listen(t.Context(), path)
		if err == nil {
			l.Close()
		}
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "text" {
		t.Errorf("the file was changed: %q, %v", text, err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "absent"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), link); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a link: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listen(ctx, filepath.Join(dir, "s")); err == nil {
		t.Error("it listens with an ended context")
	}
}

// TestListenWaits has another agent that looks for a socket in the same folder.
func TestListenWaits(t *testing.T) {
	dir := socketFolder(t)
	held, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := filelock.Try(held); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Listen(ctx, filepath.Join(dir, "s")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	held.Close()
	l, err := Listen(t.Context(), filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// TestListenRace starts many agents at one path. One gets it.
func TestListenRace(t *testing.T) {
	path := filepath.Join(socketFolder(t), "s")
	var all sync.WaitGroup
	listeners := make([]net.Listener, 16)
	for i := range listeners {
		all.Go(func() {
			l, err := Listen(t.Context(), path)
			if err == nil {
				listeners[i] = l
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := 0
	for _, l := range listeners {
		if l != nil {
			got++
			defer l.Close()
		}
	}
	if got != 1 {
		t.Errorf("%d agents listen at one path", got)
	}
}

func TestDefaultPath(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	if path, remove, err := DefaultPath(); path != "/run/user/7/countersign/agent.sock" || err != nil {
		t.Errorf("got %s, %v", path, err)
	} else {
		remove()
	}
	for _, dir := range []string{"", "relative"} {
		t.Setenv("XDG_RUNTIME_DIR", dir)
		t.Setenv("TMPDIR", socketFolder(t))
		path, remove, err := DefaultPath()
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("folder %v, %v", info, err)
		}
		remove()
		if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder is left: %v", err)
		}
	}
}

// TestServeLeftovers makes many signatures on a real socket, with clients that leave in
// every state, and counts goroutines and files.
func TestServeLeftovers(t *testing.T) {
	key := newKey(t)
	s, _ := newServer(keyOf(key, guard.SSHSig))
	path := filepath.Join(socketFolder(t), "s")
	before := leftovers.Now()
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	dial := func() net.Conn {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	var idle []net.Conn
	for range 20 { // announce much, and send nothing
		conn := dial()
		if _, err := conn.Write([]byte{0, 3, 0xff, 0xff, msgSign}); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	text := sshsig("git", "sha256", 32)
	for range 100 {
		conn := dial()
		client := agent.NewClient(struct{ io.ReadWriter }{conn}) // without a goroutine of its own
		for range 100 {
			if _, err := client.Sign(key.PublicKey(), text); err != nil {
				t.Fatal(err)
			}
		}
		conn.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, conn := range idle {
		conn.Close()
	}
	before.Check(t)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}
