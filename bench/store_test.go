package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/internal/agenttest"
	"github.com/countersign/countersign/internal/plugintest"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/internal/vaulttest"
	"github.com/countersign/countersign/signer"
)

// A store keeps an Ed25519 key. start stores the key. hang returns a key whose store has
// stopped to answer; it is nil for a store that is not asked when a key signs.
type store struct {
	name  string
	start func(*testing.T) storedKey
	hang  func(*testing.T) signer.Signer
}

// A storedKey is used by countersign, through backend, and by a peer.
type storedKey struct {
	backend signer.Backend
	name    string
	peer    peer
}

func stores() []store {
	all := []store{
		{"`env:`", inEnv, nil},
		{"`file:`", inFile, nil},
		{"`keyring:` (gnome-keyring)", inKeyring, nil},
		{"`agent:` (ssh-agent)", inOpenSSHAgent, hangAgent},
		{"`agent:` (gpg-agent)", inGPGAgent, nil},
		{"`agent:` (countersign agent)", inServedAgent, nil},
		{"`plugin:` (in Go)", inPlugin, plugintest.OpenHanging},
		{"`vault:` (a fake in the same process)", inVault, hangVault},
	}
	if plugintest.HasSoftHSM() {
		all = append(all, store{"`plugin:pkcs11:` (SoftHSM)", inPKCS11, nil})
	}
	return all
}

func (k storedKey) open(t *testing.T) signer.Signer {
	t.Helper()
	key, err := k.backend.Open(t.Context(), k.name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestStores opens the key of each store and signs with it, as countersign and as the peer.
func TestStores(t *testing.T) {
	for _, s := range stores() {
		t.Run(s.name, func(t *testing.T) {
			key := s.start(t)
			if _, err := key.open(t).Sign(t.Context(), message); err != nil {
				t.Error(err)
			}
			if err := key.peer.open(); err != nil {
				t.Errorf("%s opens: %v", key.peer.name, err)
			}
			if err := key.peer.sign(); err != nil {
				t.Errorf("%s signs: %v", key.peer.name, err)
			}
		})
	}
}

// storeTables are the times until a key is open and until a signature is there. They are
// not the times that one processor computes, because another process may do the work.
type storeTables struct {
	Open, Sign table
	Served     string // the time of a signature of countersign agent, in times of ssh-agent, for the same client
}

func measureStores(t *testing.T) storeTables {
	opens, signs := contest{name: "Open"}, contest{"Stores", []entry{{raw, signRaw}}}
	var peers []string
	for _, s := range stores() {
		key := s.start(t)
		opened := key.open(t)
		open := func() error { _, err := key.backend.Open(t.Context(), key.name); return err }
		sign := func() error { _, err := opened.Sign(t.Context(), message); return err }
		opens.entries = append(opens.entries, entryOf(s.name, open), entryOf(key.peer.name, key.peer.open))
		signs.entries = append(signs.entries, entryOf(s.name, sign), entryOf(key.peer.name, key.peer.sign))
		peers = append(peers, key.peer.name)
	}
	opened, signed := opens.measureWith(t, 2, elapsed), signs.measureWith(t, 2, elapsed)
	base, signed := signed[0], signed[1:]
	r := storeTables{
		Open: table{head: []string{"", "µs", "ratio to the peer", "the peer"}},
		Sign: table{head: []string{"", "µs", "µs added to the raw signature", "allocations", "ratio to the peer", "the peer"}},
	}
	for i, peer := range peers {
		m, p := opened[2*i], opened[2*i+1]
		r.Open.rows = append(r.Open.rows, []string{m.name, significant(m.median() / units["µs"]), significant(m.over(p)), peer})
		m, p = signed[2*i], signed[2*i+1]
		r.Sign.rows = append(r.Sign.rows, []string{
			m.name, significant(m.median() / units["µs"]), significant(m.added(base).median() / units["µs"]),
			significant(float64(m.allocs)), significant(m.over(p)), peer,
		})
	}
	peerOf := func(store string) measurement {
		i := slices.IndexFunc(signed, func(m measurement) bool { return m.name == store })
		return signed[i+1]
	}
	r.Served = significant(peerOf("`agent:` (countersign agent)").over(peerOf("`agent:` (ssh-agent)")))
	return r
}

// entryOf measures op.
func entryOf(name string, op func() error) entry {
	return entry{name, func(b *testing.B) {
		loop(b, func() {
			if err := op(); err != nil {
				b.Fatal(name, ": ", err)
			}
		})
	}}
}

// patience is how long the callers of a store that hangs wait.
const patience = 50 * time.Millisecond

// delayTable has a row for each store that can hang, with the time between the end of
// a context and the end of the call.
func delayTable(t *testing.T) table {
	all := table{head: []string{"", "median, ms", "longest, ms"}}
	for _, s := range stores() {
		if s.hang == nil {
			continue
		}
		key := s.hang(t)
		var delays []float64
		for range rounds {
			delays = append(delays, delay(t, key))
		}
		longest := delays[0]
		for _, d := range delays {
			longest = max(longest, d)
		}
		all.rows = append(all.rows, []string{s.name, significant(median(delays)), significant(longest)})
	}
	return all
}

// delay returns the milliseconds between the end of a context and that of the call.
func delay(t *testing.T, key signer.Signer) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	end, _ := ctx.Deadline()
	if _, err := key.Sign(ctx, message); err == nil {
		t.Fatal("the store answered")
	}
	return float64(time.Since(end).Microseconds()) / 1000
}

func inEnv(t *testing.T) storedKey {
	const name = "BENCH_KEY"
	private, _ := newKey(t)
	t.Setenv(name, string(encode(t, private)))
	read := func() ([]byte, error) { return []byte(os.Getenv(name)), nil }
	return storedKey{&env.Backend{}, name, inMemory("os.Getenv and x/crypto/ssh", private, read)}
}

func inFile(t *testing.T) storedKey {
	private, _ := newKey(t)
	b, name := &file.Backend{}, filepath.Join(t.TempDir(), "key")
	if err := b.Import(t.Context(), name, private); err != nil {
		t.Fatal(err)
	}
	read := func() ([]byte, error) { return os.ReadFile(name) }
	return storedKey{b, name, inMemory("os.ReadFile and x/crypto/ssh", private, read)}
}

func inKeyring(t *testing.T) storedKey {
	secretservice.Require(t, "secret-tool")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", secretservice.Start(t).Address())
	newBackend := func() *keyring.Backend {
		return &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: time.Minute}
	}
	private, _ := newKey(t)
	if err := newBackend().Import(t.Context(), "bench", private); err != nil {
		t.Fatal(err)
	}
	reading := signer.OpenFunc(func(ctx context.Context, name string) (signer.Signer, error) {
		return newBackend().Open(ctx, name) // a Backend keeps what it has read
	})
	return storedKey{reading, "bench", inMemory("secret-tool and x/crypto/ssh", private, readSecretService)}
}

func inOpenSSHAgent(t *testing.T) storedKey {
	return inAgent(t, agenttest.StartOpenSSH(t).Socket)
}

func inGPGAgent(t *testing.T) storedKey { return inAgent(t, agenttest.StartGPG(t)) }

// inAgent adds a key to the agent at socket.
func inAgent(t *testing.T, socket string) storedKey {
	private, key := newKey(t)
	b := &agent.Backend{Socket: socket}
	if err := b.Import(t.Context(), "bench", private); err != nil {
		t.Fatal(err)
	}
	return ofAgent(t, socket, key.PublicKey())
}

// ofAgent is a key that the agent at socket has.
func ofAgent(t *testing.T, socket string, key ssh.PublicKey) storedKey {
	return storedKey{&agent.Backend{Socket: socket}, ssh.FingerprintSHA256(key), agentClient(t, socket, key)}
}

// inServedAgent starts countersign agent for a key in a file, which may sign for registries.
func inServedAgent(t *testing.T) storedKey {
	agenttest.Require(t, "go")
	private, key := newKey(t)
	dir := agenttest.Dir(t)
	program, socket, config := buildCommand(t), filepath.Join(dir, "s"), filepath.Join(dir, "config.toml")
	ref := "file:" + filepath.Join(dir, "key")
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "key"), encode(t, private), 0o600),
		os.WriteFile(config, fmt.Appendf(nil, "[limit.%q]\npurposes = [\"ollama.registry\"]\n", ref), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "agent", "--print-env", "--socket", socket, ref)
	cmd.Env = append(os.Environ(), "COUNTERSIGN_CONFIG="+config)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it writes after it listens
		t.Fatalf("countersign agent did not start: %v", err)
	}
	return ofAgent(t, socket, key.PublicKey())
}

// hangAgent opens a key in an agent that lists it and never signs.
func hangAgent(t *testing.T) signer.Signer {
	keys := sshagent.NewKeyring().(sshagent.ExtendedAgent)
	return inAgent(t, agenttest.Serve(t, hanging{keys, t.Context().Done()})).open(t)
}

type hanging struct {
	sshagent.ExtendedAgent
	end <-chan struct{}
}

func (h hanging) SignWithFlags(ssh.PublicKey, []byte, sshagent.SignatureFlags) (*ssh.Signature, error) {
	<-h.end
	return nil, errors.New("the benchmark has ended")
}

func (h hanging) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return h.SignWithFlags(key, data, 0)
}

func inPlugin(t *testing.T) storedKey {
	b, name := plugintest.New(t)
	plugin, key, _ := strings.Cut(name, ":")
	return storedKey{b, name, pluginProcess(t, b.Programs[plugin].Path, key)}
}

func inPKCS11(t *testing.T) storedKey {
	b, name := plugintest.NewPKCS11(t, "..")
	return storedKey{b, name, pkcs11Tool(t)}
}

func inVault(t *testing.T) storedKey {
	fake := vaulttest.New(nil)
	fake.AddEngine("transit")
	b := generateInVault(t, fake, fake.Root)
	return storedKey{b, "bench", vaultClient(b.Address, fake.Root)}
}

// hangVault opens a key of a server that answers everything except signatures.
func hangVault(t *testing.T) signer.Signer {
	fake := vaulttest.New(nil)
	fake.AddEngine("transit")
	end := t.Context().Done()
	b := generateInVault(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/v1/transit/sign/") {
			<-end
			return
		}
		fake.ServeHTTP(w, req)
	}), fake.Root)
	return storedKey{backend: b, name: "bench"}.open(t)
}

// generateInVault makes the key "bench".
func generateInVault(t *testing.T, server http.Handler, token string) *vault.Backend {
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	b := &vault.Backend{Address: h.URL, Token: func() string { return token }}
	t.Cleanup(b.CloseIdleConnections)
	if _, err := b.Generate(t.Context(), "bench"); err != nil {
		t.Fatal(err)
	}
	return b
}

func encode(tb testing.TB, private ed25519.PrivateKey) []byte {
	tb.Helper()
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}
