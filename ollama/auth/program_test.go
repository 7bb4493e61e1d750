package auth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/ollama/auth"
	"github.com/countersign/countersign/signer"
)

// isProgram makes this test binary a program that uses the package: the key is
// kept for the life of a process, so each environment needs a process of its own.
const isProgram = "COUNTERSIGN_TEST_PROGRAM"

// TestMain gives the tests and examples of this process one key, whose seed is
// zeros.
func TestMain(m *testing.M) {
	if os.Getenv(isProgram) != "" {
		program(os.Stdin, os.Stdout)
		return
	}
	os.Setenv("OLLAMA_KEY", strings.Repeat("00", 32))
	os.Setenv("COUNTERSIGN_KEY", "env:OLLAMA_KEY")
	os.Setenv("COUNTERSIGN_CONFIG", os.DevNull)
	os.Exit(m.Run())
}

// A reply is what the program answers to a line.
type reply struct {
	Value string
	Error string
	Kinds []string // of the errors in package signer
}

func (r reply) is(kind error) bool { return len(r.Kinds) == 1 && r.Kinds[0] == kind.Error() }

// program obeys "public", "unset NAME" and "sign TEXT", a line each.
func program(in io.Reader, out io.Writer) {
	answers := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var value string
		var err error
		switch order, arg, _ := strings.Cut(lines.Text(), " "); order {
		case "public":
			value, err = auth.GetPublicKey()
		case "unset":
			err = os.Unsetenv(arg)
		case "sign":
			value, err = auth.Sign(context.Background(), []byte(arg))
		}
		r := reply{Value: value}
		if err != nil {
			r.Error = err.Error()
		}
		for _, kind := range []error{signer.ErrNotFound, signer.ErrUnavailable, signer.ErrLocked, signer.ErrDenied, signer.ErrInsecure} {
			if errors.Is(err, kind) {
				r.Kinds = append(r.Kinds, kind.Error())
			}
		}
		if err := answers.Encode(r); err != nil {
			log.Fatal(err)
		}
	}
}

// start starts the program with the environment env and nothing else, but for
// what Windows needs to start any.
func start(t *testing.T, env ...string) (order func(string) reply) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append([]string{isProgram + "=1", "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}, env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	answers := json.NewDecoder(out)
	return func(line string) (r reply) {
		t.Helper()
		if _, err := fmt.Fprintln(in, line); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&r); err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// configured writes a configuration file that leaves the keychain of whoever runs
// the tests alone, and returns the variable that names it.
func configured(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(name, []byte(text+"\n[keyring]\nstores = []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "COUNTERSIGN_CONFIG=" + name
}

// home returns the variable for the home directory dir.
func home(dir string) []string { return []string{"HOME=" + dir, "USERPROFILE=" + dir} }
