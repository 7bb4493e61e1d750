// Package agenttest runs SSH agents for tests: OpenSSH's ssh-agent, gpg-agent, and
// agents in the process of the test. It does not touch the user's own agent.
package agenttest

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh/agent"
)

// Require ends the test if one of the programs is not installed: with a failure
// in CI, otherwise with a skip.
func Require(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" && runtime.GOOS != "windows" { // Wine has none
			t.Fatalf("%s is not installed, and CI tests everything", program)
		}
		t.Skipf("SKIPPED: %s is not installed: on Debian, run: apt-get install --no-install-recommends openssh-client gnupg", program)
	}
}

// Dir returns a new folder for the sockets of a test, and removes it when t ends. Its
// path is short, because the path of a socket has at most 103 bytes on some systems.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// An OpenSSH is a running ssh-agent.
type OpenSSH struct {
	Socket string
	server *exec.Cmd
	kill   func()
}

// StartOpenSSH starts an ssh-agent, which ends with t. Its environment has the
// variables in env besides those of the test.
func StartOpenSSH(t testing.TB, env ...string) *OpenSSH {
	t.Helper()
	Require(t, "ssh-agent", "ssh-add")
	a := &OpenSSH{Socket: filepath.Join(Dir(t), "s")}
	a.server = exec.Command("ssh-agent", "-D", "-a", a.Socket)
	a.server.Env = append(os.Environ(), env...)
	out, err := a.server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.server.Start(); err != nil {
		t.Fatal(err)
	}
	a.kill = sync.OnceFunc(func() {
		_ = a.server.Process.Kill()
		_ = a.server.Wait()
	})
	t.Cleanup(a.kill)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it writes after it listens
		t.Fatalf("ssh-agent did not start: %v", err)
	}
	return a
}

// PID returns the number of the agent's process.
func (a *OpenSSH) PID() int { return a.server.Process.Pid }

// Kill ends the agent without a chance to remove its socket.
func (a *OpenSSH) Kill() { a.kill() }

// Add runs ssh-add with these arguments. Its standard input is empty.
func (a *OpenSSH) Add(t testing.TB, args ...string) { Add(t, a.Socket, args...) }

// Add runs ssh-add with these arguments for the agent at socket.
func Add(t testing.TB, socket string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh-add", args...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add %q: %v: %s", args, err, out)
	}
}

// Askpass writes a program that ssh-agent and ssh-add run to ask a person, and returns
// the variables that make them run it. The program is the shell script body.
func Askpass(t testing.TB, body string) []string {
	t.Helper()
	path := filepath.Join(Dir(t), "askpass")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"DISPLAY=:0", "SSH_ASKPASS=" + path, "SSH_ASKPASS_REQUIRE=force"}
}

// StartGPG starts a gpg-agent that speaks the protocol of SSH agents, and returns its
// socket. It ends with t. Where it would ask a person for a passphrase, it gets "pw".
func StartGPG(t testing.TB) (socket string) {
	t.Helper()
	Require(t, "gpg-agent", "gpgconf")
	home := Dir(t)
	pinentry := filepath.Join(home, "pinentry")
	script := "#!/bin/sh\necho OK\nwhile read -r line; do\n case $line in\n GETPIN*) echo 'D pw';;\n esac\n echo OK\ndone\n"
	config := "enable-ssh-support\ns2k-count 65536\npinentry-program " + pinentry + "\n"
	for path, text := range map[string]string{pinentry: script, filepath.Join(home, "gpg-agent.conf"): config} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env := append(os.Environ(), "GNUPGHOME="+home)
	run := func(name string, args ...string) { // without a pipe, which the daemon would keep open
		cmd := exec.Command(name, args...)
		cmd.Env = env
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	t.Cleanup(func() { run("gpgconf", "--kill", "gpg-agent") })
	run("gpg-agent", "--daemon") // returns when the agent listens
	return filepath.Join(home, "S.gpg-agent.ssh")
}

// Listen answers each connection to a new socket with handle, on a goroutine of its
// own, and returns the path of the socket. When t ends, it closes all connections and
// waits for the goroutines.
func Listen(t testing.TB, handle func(net.Conn)) (socket string) {
	t.Helper()
	socket = filepath.Join(Dir(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	return socket
}

// Serve serves a on a new socket until t ends, and returns the path of the socket.
func Serve(t testing.TB, a agent.Agent) (socket string) {
	t.Helper()
	return Listen(t, func(c net.Conn) { _ = agent.ServeAgent(a, c) }) // until the client leaves
}
