package main

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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

// A store keeps an Ed25519 key, which open stores and opens. hang returns a key whose
// store has stopped to answer; it is nil for a store that is not asked when a key
// signs.
type store struct {
	name string
	open func(*testing.T) signer.Signer
	hang func(*testing.T) signer.Signer
}

func stores() []store {
	all := []store{
		{"`env:`", openEnv, nil},
		{"`file:`", openFile, nil},
		{"`keyring:` (gnome-keyring)", openKeyring, nil},
		{"`agent:` (ssh-agent)", openAgent, hangAgent},
		{"`agent:` (gpg-agent)", openGPGAgent, nil},
		{"`plugin:` (in Go)", plugintest.Open, plugintest.OpenHanging},
		{"`vault:` (a fake in the same process)", openVault, hangVault},
	}
	if plugintest.HasSoftHSM() {
		all = append(all, store{"`plugin:pkcs11:` (SoftHSM)", openPKCS11, nil})
	}
	return all
}

// TestStores signs once with each store.
func TestStores(t *testing.T) {
	for _, s := range stores() {
		t.Run(s.name, func(t *testing.T) {
			if _, err := s.open(t).Sign(t.Context(), message); err != nil {
				t.Error(err)
			}
		})
	}
}

// storeTable has a row for each store. The times are those until the signature is
// there, because another process computes it.
func storeTable(t *testing.T) table {
	c := contest{"Stores", []entry{{raw, signRaw}}}
	for _, s := range stores() {
		key := s.open(t)
		c.entries = append(c.entries, entry{s.name, func(b *testing.B) {
			loop(b, func() {
				if _, err := key.Sign(t.Context(), message); err != nil {
					b.Fatal(err)
				}
			})
		}})
	}
	measured := c.measureWith(t, 2, elapsed)
	base := measured[0]
	all := table{head: []string{"", "signatures per second", "µs", "µs added to the raw signature", "allocations"}}
	for _, m := range measured {
		added := "-"
		if m.name != raw {
			added = significant(m.added(base).median() / units["µs"])
		}
		all.rows = append(all.rows, []string{
			m.name, significant(1e9 / m.median()), significant(m.median() / units["µs"]), added, significant(float64(m.allocs)),
		})
	}
	return all
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

func openEnv(t *testing.T) signer.Signer {
	private, _ := newKey(t)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("BENCH_KEY", string(pem.EncodeToMemory(block)))
	return openKey(t, &env.Backend{}, "BENCH_KEY")
}

func openFile(t *testing.T) signer.Signer {
	private, _ := newKey(t)
	b, name := &file.Backend{}, filepath.Join(t.TempDir(), "key")
	if err := b.Import(t.Context(), name, private); err != nil {
		t.Fatal(err)
	}
	return openKey(t, b, name)
}

func openKeyring(t *testing.T) signer.Signer {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", secretservice.Start(t).Address())
	b := &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: time.Minute}
	if _, err := b.Generate(t.Context(), "bench"); err != nil {
		t.Fatal(err)
	}
	return openKey(t, b, "bench")
}

func openAgent(t *testing.T) signer.Signer { return inAgent(t, agenttest.StartOpenSSH(t).Socket) }

func openGPGAgent(t *testing.T) signer.Signer { return inAgent(t, agenttest.StartGPG(t)) }

// inAgent adds a key to the agent at socket and opens it.
func inAgent(t *testing.T, socket string) signer.Signer {
	private, _ := newKey(t)
	b := &agent.Backend{Socket: socket}
	if err := b.Import(t.Context(), "bench", private); err != nil {
		t.Fatal(err)
	}
	return openKey(t, b, "bench")
}

// hangAgent opens a key in an agent that lists it and never signs.
func hangAgent(t *testing.T) signer.Signer {
	keys := sshagent.NewKeyring().(sshagent.ExtendedAgent)
	return inAgent(t, agenttest.Serve(t, hanging{keys, t.Context().Done()}))
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

func openPKCS11(t *testing.T) signer.Signer { return plugintest.OpenPKCS11(t, "..") }

func openVault(t *testing.T) signer.Signer {
	fake := vaulttest.New(nil)
	fake.AddEngine("transit")
	return generateInVault(t, fake, fake.Root)
}

// hangVault opens a key of a server that answers everything except signatures.
func hangVault(t *testing.T) signer.Signer {
	fake := vaulttest.New(nil)
	fake.AddEngine("transit")
	end := t.Context().Done()
	return generateInVault(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/v1/transit/sign/") {
			<-end
			return
		}
		fake.ServeHTTP(w, req)
	}), fake.Root)
}

func generateInVault(t *testing.T, server http.Handler, token string) signer.Signer {
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	b := &vault.Backend{Address: h.URL, Token: func() string { return token }}
	t.Cleanup(b.CloseIdleConnections)
	key, err := b.Generate(t.Context(), "bench")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func openKey(t *testing.T, b signer.Backend, name string) signer.Signer {
	t.Helper()
	key, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
