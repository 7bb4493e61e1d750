package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/secretservice"
)

// need ends the test if a program is not installed: with a failure in CI, otherwise
// with a skip.
func need(t *testing.T, packages string, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI tests everything", program)
		}
		t.Skipf("SKIPPED: %s is not installed: on Debian, run: apt-get install --no-install-recommends %s", program, packages)
	}
}

// A servedAgent is a running "countersign agent".
type servedAgent struct {
	t      *testing.T
	dir    string
	env    []string // of clients
	cmd    *exec.Cmd
	stderr logFile
	socket string
}

// A logFile is the file that a program writes its stderr to. A line is in it before the
// program goes on.
type logFile string

func (f logFile) String() string {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// attach gives cmd a new log file as its stderr.
func attach(t *testing.T, cmd *exec.Cmd) logFile {
	t.Helper()
	f := newLog(t)
	cmd.Stderr = f
	return logFile(f.Name())
}

func newLog(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// startServing runs "countersign agent" in dir until the test ends.
func startServing(t *testing.T, dir string, env []string, args ...string) *servedAgent {
	t.Helper()
	a := &servedAgent{t: t, dir: dir, socket: filepath.Join(dir, "agent", "sock")}
	a.cmd = exec.Command("countersign", slices.Concat([]string{"agent", "--print-env", "--socket", a.socket}, args)...)
	a.cmd.Dir, a.cmd.Env, a.stderr = dir, env, attach(t, a.cmd)
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if a.cmd.ProcessState == nil {
			_ = a.cmd.Process.Kill()
			_ = a.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("stderr of the agent:\n%s", a.stderr)
		}
	})
	lines := make([]byte, 4096)
	n, err := out.Read(lines)
	if err != nil || !strings.HasPrefix(string(lines[:n]), "SSH_AUTH_SOCK="+a.socket+"; export SSH_AUTH_SOCK;\n") {
		t.Fatalf("the agent printed %q, %v\n%s", lines[:n], err, a.stderr)
	}
	a.env = append(slices.Clone(env), "SSH_AUTH_SOCK="+a.socket, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	return a
}

// run runs a client of the agent.
func (a *servedAgent) run(name string, args ...string) (string, error) {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = a.dir, a.env, 10*time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// succeed runs a client that must succeed.
func (a *servedAgent) succeed(name string, args ...string) string {
	a.t.Helper()
	out, err := a.run(name, args...)
	if err != nil {
		a.t.Fatalf("%s %q: %v\n%s\nthe agent: %s", name, args, err, out, a.stderr)
	}
	return out
}

// refuse runs a client that must fail, because the agent refuses the signature.
func (a *servedAgent) refuse(reason, name string, args ...string) {
	a.t.Helper()
	before := len(a.stderr.String())
	if out, err := a.run(name, args...); err == nil {
		a.t.Errorf("%s %q succeeded:\n%s", name, args, out)
	}
	if log := a.stderr.String()[before:]; !strings.Contains(log, `msg="refused to sign"`) || !strings.Contains(log, reason) {
		a.t.Errorf("%s %q: the agent did not refuse because of %q:\n%s", name, args, reason, log)
	}
}

// end ends the agent with a signal and wants it to leave nothing.
func (a *servedAgent) end() {
	a.t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		a.t.Fatal(err)
	}
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the agent ended with %v", err)
	}
	if _, err := os.Lstat(a.socket); !errors.Is(err, fs.ErrNotExist) {
		a.t.Errorf("the socket is left: %v", err)
	}
}

// startSSHD runs a real sshd on loopback that lets the keys in authorized log in. It
// returns the arguments of ssh that lead there.
func startSSHD(t *testing.T, dir, authorized string) []string {
	t.Helper()
	need(t, "openssh-server", "sshd", "ssh", "ssh-keygen")
	sshd, err := exec.LookPath("sshd") // it wants its absolute path
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "host")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	writeFile(t, filepath.Join(dir, "authorized"), authorized)
	writeFile(t, filepath.Join(dir, "sshd_config"), fmt.Sprintf(`HostKey %[1]s/host
AuthorizedKeysFile %[1]s/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
`, dir))
	hostKey, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "known_hosts"), "[127.0.0.1]:"+port+" "+string(hostKey))
	if os.Getuid() == 0 { // a service manager makes it elsewhere
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log := newLog(t)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serveSSH(t, conn, sshd, filepath.Join(dir, "sshd_config"), log) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
		if t.Failed() {
			t.Logf("stderr of sshd:\n%s", logFile(log.Name()))
		}
	})
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"-F", "none", "-p", port, "-o", "UserKnownHostsFile=" + dir + "/known_hosts", "-o", "StrictHostKeyChecking=yes",
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-l", me.Username, "127.0.0.1",
	}
}

// serveSSH runs sshd for one connection, as inetd does. So the port is the test's own
// from the start.
func serveSSH(t *testing.T, conn net.Conn, sshd, config string, log *os.File) {
	defer conn.Close()
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	cmd := exec.CommandContext(t.Context(), sshd, "-i", "-e", "-f", config)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, log
	_ = cmd.Run() // its exit code is that of the login
}

// TestAgentServesSSHAndGit serves two keys that are in gnome-keyring. One has the usual
// purposes, and the other is limited to registries.
func TestAgentServesSSHAndGit(t *testing.T) {
	need(t, "openssh-client git", "ssh-add", "git")
	secretservice.Require(t)
	session := secretservice.Start(t)
	dir, err := os.MkdirTemp("", "agent") // short: a socket's path has at most 103 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "config.toml")
	writeFile(t, config, "[limit.\"keyring:limited\"]\npurposes = [\"ollama.registry\"]\n")
	env := append(session.Env(), "COUNTERSIGN_CONFIG="+config, endAtOnce)
	var authorized string
	for _, name := range []string{"work", "limited"} {
		cmd := exec.Command("countersign", "key", "generate", "keyring:"+name)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Split(string(out), "\n")[1] + "\n"
		writeFile(t, filepath.Join(dir, name+".pub"), line)
		authorized += line
	}
	a := startServing(t, dir, env, "keyring:work", "keyring:limited")
	if out := a.succeed("ssh-add", "-l"); strings.Count(out, "\n") != 2 || !strings.Contains(out, " keyring:work (ED25519)\n") {
		t.Errorf("ssh-add -l: %s", out)
	}

	toHost := startSSHD(t, dir, authorized)
	login := func(key string, args ...string) []string {
		return slices.Concat([]string{"-i", key + ".pub"}, toHost, args)
	}
	if out := a.succeed("ssh", login("work", "echo", "logged in")...); out != "logged in\n" {
		t.Errorf("ssh: %q", out)
	}
	if log := a.stderr.String(); !strings.Contains(log, "msg=signed key=keyring:work fingerprint=SHA256:") || !strings.Contains(log, " purpose=ssh.userauth user=") || !strings.Contains(log, " host_key="+fingerprintOf(t, filepath.Join(dir, "host.pub"))) {
		t.Errorf("the login is not in the log:\n%s", log)
	}
	a.refuse("only ollama.registry is allowed", "ssh", login("limited", "echo")...)

	// From the host, the agent signs a login to another session, and no file.
	again := "ssh -i work.pub " + strings.Join(toHost, " ") + " echo logged in again"
	if out := a.succeed("ssh", slices.Concat([]string{"-A"}, login("work", "cd "+dir+" && "+again))...); out != "logged in again\n" {
		t.Errorf("ssh -A: %q", out)
	}
	if log := a.stderr.String(); !strings.Contains(log, " forwarded=true\n") {
		t.Errorf("the forwarded login is not in the log:\n%s", log)
	}
	writeFile(t, filepath.Join(dir, "file"), "text")
	sign := "cd " + dir + " && ssh-keygen -Y sign -n file -f work.pub file"
	a.refuse("may ask for logins only", "ssh", slices.Concat([]string{"-A"}, login("work", sign))...)

	// Files, both ways.
	a.succeed("ssh-keygen", "-Y", "sign", "-n", "file", "-f", "work.pub", "file")
	writeFile(t, filepath.Join(dir, "allowed_signers"), "ann@example.com "+strings.Split(authorized, "\n")[0]+"\nbob@example.com "+strings.Split(authorized, "\n")[1]+"\n")
	a.succeed("sh", "-c", "ssh-keygen -Y verify -f allowed_signers -I ann@example.com -n file -s file.sig <file")
	if err := os.Remove(filepath.Join(dir, "file.sig")); err != nil {
		t.Fatal(err)
	}
	a.refuse("only ollama.registry is allowed", "ssh-keygen", "-Y", "sign", "-n", "file", "-f", "limited.pub", "file")

	// Commits.
	a.succeed("git", "init", "-q", "repo")
	git := func(key string, args ...string) []string {
		return slices.Concat([]string{
			"-C", "repo", "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "gpg.format=ssh",
			"-c", "user.signingkey=" + dir + "/" + key + ".pub", "-c", "gpg.ssh.allowedSignersFile=" + dir + "/allowed_signers",
		}, args)
	}
	a.succeed("git", git("work", "commit", "-q", "-S", "--allow-empty", "-m", "signed")...)
	if out := a.succeed("git", git("work", "verify-commit", "-v", "HEAD")...); !strings.Contains(out, `Good "git" signature for ann@example.com`) {
		t.Errorf("git verify-commit: %s", out)
	}
	a.refuse("only ollama.registry is allowed", "git", git("limited", "commit", "-q", "-S", "--allow-empty", "-m", "refused")...)

	// The limited key opens the registry, and the same key in the command signs no login.
	registry := startDemoRegistry(t)
	registry.AddImage("library/demo", "latest", []byte("hello"))
	a.succeed("countersign", "get", "--key", "keyring:limited", registry.URL+"/v2/library/demo/manifests/latest")
	a.end()
}

// fingerprintOf returns the fingerprint of a public key file.
func fingerprintOf(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("ssh-keygen", "-l", "-f", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))[1]
}

// signAll is a program for Node.js. It asks an agent for a signature of every text by
// every key, with npm's package sshpk-agent, and prints the names of those that it got
// as "key text".
const signAll = `
const fs = require('fs');
const client = new (require('sshpk-agent').Client)();
const samples = JSON.parse(fs.readFileSync(process.argv[2])).samples;
client.listKeys(async (err, keys) => {
	if (err) throw err;
	const signed = [];
	for (const key of keys) for (const s of samples) {
		await new Promise((next) => client.sign(key, Buffer.from(s.Hex, 'hex'), (err, sig) => {
			if (!err) signed.push(key.comment + ' ' + s.Name);
			next();
		}));
	}
	console.log(JSON.stringify(signed));
	process.exit(0);
});
`

// TestAgentPurposesThroughSSHPK has a key for every purpose, and a client that signs
// any text.
func TestAgentPurposesThroughSSHPK(t *testing.T) {
	need(t, "nodejs", "node", "npm")
	root, err := exec.Command("npm", "root", "-g").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.TrimSpace(string(root))
	if _, err := os.Stat(filepath.Join(modules, "sshpk-agent")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("sshpk-agent is not installed, and CI tests everything: %v", err)
		}
		t.Skip("SKIPPED: sshpk-agent is not installed: run: npm install -g sshpk-agent@1.8.1")
	}
	data, err := os.ReadFile("../../guard/testdata/cross_protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Samples []struct{ Name, Class string }
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Samples) != 25 {
		t.Fatalf("%d samples, %v; want 25", len(file.Samples), err)
	}
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := ""
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NODE_PATH=" + modules, "COUNTERSIGN_CONFIG=" + dir + "/config.toml", endAtOnce}
	args := []string{"--allow-unbound"}
	var want []string
	for i, purpose := range guard.Purposes() {
		ref := "env:K_" + strings.NewReplacer(".", "_").Replace(string(purpose))
		env = append(env, fmt.Sprintf("%s=%064x", strings.TrimPrefix(ref, "env:"), i+1))
		config += fmt.Sprintf("[limit.%q]\npurposes = [%q]\n", ref, purpose)
		args = append(args, ref)
		for _, s := range file.Samples {
			if s.Class == string(purpose) && purpose != guard.Raw && purpose != guard.Digest {
				want = append(want, ref+" "+s.Name)
			}
		}
	}
	writeFile(t, filepath.Join(dir, "config.toml"), config)
	writeFile(t, filepath.Join(dir, "sign.js"), signAll)
	samples, err := filepath.Abs("../../guard/testdata/cross_protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	a := startServing(t, dir, env, args...)
	out := a.succeed("node", "sign.js", samples)
	var got []string
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) != 22 {
		t.Errorf("signed %q\nwant %q", got, want)
	}
	if n := strings.Count(a.stderr.String(), "msg=signed"); n != len(want) {
		t.Errorf("%d signatures in the log, want %d", n, len(want))
	}
	a.end()
}
