package file_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
)

const childVariable = "COUNTERSIGN_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	generateAll(os.Stdin, os.Stdout)
}

// generateAll is what a child process does: it reads paths and generates a key
// at each. It answers "started", and then what came of it, a line each.
func generateAll(r io.Reader, w io.Writer) {
	for paths := bufio.NewScanner(r); paths.Scan(); {
		fmt.Fprintln(w, "started")
		s, err := new(file.Backend).Generate(context.Background(), paths.Text())
		switch {
		case errors.Is(err, signer.ErrExists):
			fmt.Fprintln(w, "exists")
		case err != nil:
			fmt.Fprintln(w, err)
		default:
			fmt.Fprintln(w, ssh.FingerprintSHA256(s.PublicKey()))
		}
	}
}

type child struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
}

func startChild(t *testing.T) *child {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &child{cmd, stdin, bufio.NewReader(stdout)}
}

func (c *child) tell(t *testing.T, path string) {
	t.Helper()
	if _, err := fmt.Fprintln(c.stdin, path); err != nil {
		t.Fatal(err)
	}
}

func (c *child) answer(t *testing.T) string {
	t.Helper()
	line, err := c.answers.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestProcessesGenerateAtOnce(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	dir := tempDir(t)
	children := make([]*child, 8)
	for i := range children {
		children[i] = startChild(t)
	}
	for round := range rounds {
		path := filepath.Join(dir, fmt.Sprint(round), "key")
		for _, c := range children {
			c.tell(t, path)
		}
		made := map[string]int{}
		for _, c := range children {
			c.answer(t) // "started"
			made[c.answer(t)]++
		}
		s, err := new(file.Backend).Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		pub := s.PublicKey()
		if made[ssh.FingerprintSHA256(pub)] != 1 || made["exists"] != len(children)-1 {
			t.Errorf("the key is %s, the processes say %v", ssh.FingerprintSHA256(pub), made)
		}
		checkPair(t, filepath.Dir(path), pub)
		if got := slices.Sorted(maps.Keys(tree(t, filepath.Dir(path)))); !slices.Equal(got, []string{"key", "key.pub"}) {
			t.Errorf("the directory holds %q", got)
		}
	}
	for _, c := range children {
		c.stdin.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// checkPair checks that dir/key.pub is the public half of dir/key.
func checkPair(t *testing.T, dir string, pub ssh.PublicKey) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Error(err)
	} else if !bytes.HasPrefix(data, bytes.TrimSpace(ssh.MarshalAuthorizedKey(pub))) {
		t.Errorf("key.pub is %q, of another key than %s", data, ssh.FingerprintSHA256(pub))
	}
}

// A process that is killed while it generates leaves no key or a whole one. The
// next process that generates a key in the directory removes everything else.
func TestKilledWhileGenerating(t *testing.T) {
	rounds := 200
	if testing.Short() || runtime.GOOS == "windows" { // to start a process takes Wine long
		rounds = 20
	}
	seen := map[string]int{}
	spins := 10_000 // about as long as it takes; found by trial
	for range rounds {
		dir := tempDir(t)
		c := startChild(t)
		c.tell(t, filepath.Join(dir, "key"))
		c.answer(t) // "started"
		spin(rand.N(2 * spins))
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.cmd.Wait()

		left := checkKilled(t, dir)
		if _, err := new(file.Backend).Generate(t.Context(), filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		for name := range tree(t, dir) {
			if strings.HasPrefix(name, ".") {
				t.Errorf("%s is there after the next key was generated", name)
			}
		}
		seen[left]++
		switch left {
		case "nothing":
			spins += spins/4 + 1
		case "key and key.pub":
			spins -= spins / 4
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("left behind: %v", seen)
}

// checkKilled says what is left in dir.
func checkKilled(t *testing.T, dir string) string {
	t.Helper()
	left := "nothing"
	files := tree(t, dir)
	for name := range files {
		if strings.HasPrefix(name, ".countersign-") && strings.HasSuffix(name, ".tmp") {
			left = "temporary files"
		} else if name != "key" && name != "key.pub" {
			t.Errorf("it left %s", name)
		}
	}
	path := filepath.Join(dir, "key")
	s, err := new(file.Backend).Open(t.Context(), path)
	switch {
	case errors.Is(err, signer.ErrNotFound):
		if s, err = new(file.Backend).Generate(t.Context(), path); err != nil {
			t.Errorf("Generate after a kill: %v", err)
			return left
		}
		checkPair(t, dir, s.PublicKey())
	case err != nil:
		t.Errorf("half a key: %v", err)
		return left
	case files["key.pub"] == "":
		left = "key"
	default:
		left = "key and key.pub"
		checkPair(t, dir, s.PublicKey())
	}
	checkSigns(t, s, s.PublicKey())
	return left
}

// spin takes a while, too short for a timer.
func spin(n int) {
	for range n {
		rand.Uint64()
	}
}
