// Package leaks_test makes many signatures with each store, and compares the open
// files, goroutines and memory of the process before and after. make leaks prints the
// numbers for 10,000 signatures.
package leaks_test

import (
	"encoding/pem"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/crypto/ssh"

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
	"github.com/countersign/countersign/signer/signertest"
)

var signatures = flag.Int("signatures", 200, "the number of signatures with each store")

// callers is the number of goroutines that sign at once.
const callers = 8

// mostHeap is how much the heap may grow, in bytes. The runtime itself needs some.
const mostHeap = 1 << 20

// stores has a function for each store that starts it and opens a key in it.
var stores = []struct {
	name string
	open func(*testing.T) signer.Signer
}{
	{"env:", openEnv},
	{"file:", openFile},
	{"keyring: (gnome-keyring)", openKeyring},
	{"agent: (ssh-agent)", openAgent},
	{"agent: (gpg-agent)", openGPGAgent},
	{"plugin: (in Go)", plugintest.Open},
	{"plugin:pkcs11: (SoftHSM)", openPKCS11},
	{"vault: (a fake in this process)", openVault},
}

// A state is what a leak would increase.
type state struct {
	files, goroutines int
	heap              uint64 // bytes
	resident          int    // pages, where the system tells it
}

func TestLeaks(t *testing.T) {
	var rows strings.Builder
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			key := s.open(t)
			sign(t, key, 100) // buffers and caches grow to their size
			before := measure(t)
			sign(t, key, *signatures)
			after := await(t, before)
			kib := func(pages int) int { return pages * os.Getpagesize() >> 10 }
			fmt.Fprintf(&rows, "%s\t%d\t%d to %d\t%d to %d\t%d to %d\t%d to %d\n", s.name, *signatures, before.files, after.files,
				before.goroutines, after.goroutines, before.heap>>10, after.heap>>10, kib(before.resident), kib(after.resident))
			if after.files > before.files || after.goroutines > before.goroutines {
				t.Errorf("%d files and %d goroutines more than before", after.files-before.files, after.goroutines-before.goroutines)
			}
			if after.heap > before.heap+mostHeap {
				t.Errorf("the heap grew by %d bytes", after.heap-before.heap)
			}
		})
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "STORE\tSIGNATURES\tOPEN FILES\tGOROUTINES\tHEAP, KiB\tMEMORY, KiB\n%s", rows.String())
	w.Flush()
	t.Logf("\n%s", table.String())
}

// sign makes n signatures.
func sign(t *testing.T, key signer.Signer, n int) {
	t.Helper()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := caller; i < n; i += callers {
				if _, err := key.Sign(t.Context(), fmt.Appendf(nil, "text %d", i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func measure(t *testing.T) state {
	t.Helper()
	runtime.GC()
	runtime.GC() // a second time for what finalizers kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := state{goroutines: runtime.NumGoroutine(), heap: m.HeapAlloc}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.files = len(entries)
	}
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		_, _ = fmt.Sscan(string(statm), new(int), &s.resident)
	}
	return s
}

// await measures until nothing is left that is about to end, or for a second.
func await(t *testing.T, before state) state {
	t.Helper()
	for start := time.Now(); ; runtime.Gosched() {
		s := measure(t)
		if s.files <= before.files && s.goroutines <= before.goroutines || time.Since(start) > time.Second {
			return s
		}
	}
}

func openEnv(t *testing.T) signer.Signer {
	block, err := ssh.MarshalPrivateKey(signertest.NewKey(t), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEAKS_KEY", string(pem.EncodeToMemory(block)))
	return open(t, &env.Backend{}, "LEAKS_KEY")
}

func openFile(t *testing.T) signer.Signer {
	return imported(t, &file.Backend{}, filepath.Join(t.TempDir(), "key"))
}

func openKeyring(t *testing.T) signer.Signer {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", secretservice.Start(t).Address())
	return imported(t, &keyring.Backend{Stores: []keyring.Store{keyring.SecretService}, Timeout: time.Minute}, "leaks")
}

func openAgent(t *testing.T) signer.Signer {
	return imported(t, &agent.Backend{Socket: agenttest.StartOpenSSH(t).Socket}, "leaks")
}

func openGPGAgent(t *testing.T) signer.Signer {
	return imported(t, &agent.Backend{Socket: agenttest.StartGPG(t)}, "leaks")
}

// openVault makes a key on a fake. It gives each caller a connection before the open
// files are counted: the first signatures wait for each other.
func openVault(t *testing.T) signer.Signer {
	fake := vaulttest.New(nil)
	fake.AddEngine("transit")
	var first atomic.Int32
	var together sync.WaitGroup
	together.Add(callers)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/v1/transit/sign/") && first.Add(1) <= callers {
			together.Done()
			together.Wait()
		}
		fake.ServeHTTP(w, req)
	}))
	t.Cleanup(h.Close)
	b := &vault.Backend{Address: h.URL, Token: func() string { return fake.Root }}
	t.Cleanup(b.CloseIdleConnections)
	key, err := b.Generate(t.Context(), "leaks")
	if err != nil {
		t.Fatal(err)
	}
	sign(t, key, callers)
	return key
}

// imported stores a new key and opens it.
func imported(t *testing.T, b interface {
	signer.Backend
	signer.Importer
}, name string,
) signer.Signer {
	t.Helper()
	if err := b.Import(t.Context(), name, signertest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	return open(t, b, name)
}

func open(t *testing.T, b signer.Backend, name string) signer.Signer {
	t.Helper()
	key, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
