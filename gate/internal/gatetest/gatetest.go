// Package gatetest starts a gate for a test, on loopback, with the files that
// "countersignd init" makes and a recorder in place of the registry.
package gatetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate"
	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/nonce"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

// Options describe the gate of a test. The zero value has a registry that answers
// every request with 200.
type Options struct {
	// Origin is the public origin; "" means that of the listener.
	Origin string

	// Blobs is the second host name. "*" means the listener under the name localhost.
	Blobs string

	// TLS is the file with a certificate and its key; "" means plain http.
	TLS string

	// Registry answers the requests that pass the gate.
	Registry http.Handler

	// Ollama answers the requests that pass the gate to an Ollama server; nil means that
	// there is none.
	Ollama http.Handler

	// Grants are the grants; "" means DefaultGrants.
	Grants string

	// Change changes the text of the configuration.
	Change func(text string) string

	// Nonces is the store of used requests; nil means that of the configuration if it
	// names one, and else one whose epoch is long ago.
	Nonces nonce.Store
}

// DefaultGrants let everyone use the repositories below users/NAME, and pull those
// below library.
const DefaultGrants = `
[[grant]]
names = ["*"]
repositories = ["users/${name}/*"]
actions = ["pull", "push", "delete"]
[[grant]]
names = ["*"]
repositories = ["library/*"]
actions = ["pull"]
`

// A Gate is a gate of a test.
type Gate struct {
	*gate.Gate

	URL    string // of the listener
	Origin string
	Folder string
	Config *config.Config

	// Messages has the log.
	Messages *Buffer

	t         testing.TB
	decisions *Buffer

	mu        sync.Mutex
	forwarded []*http.Request
}

// Start starts a gate, which ends with the test.
func Start(t testing.TB, o Options) *Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if o.TLS != "" {
		url = "https://" + l.Addr().String()
	}
	g := &Gate{t: t, URL: url, Origin: cmp.Or(o.Origin, url), Folder: t.TempDir(), Messages: &Buffer{}, decisions: &Buffer{}}
	if o.Blobs == "*" {
		o.Blobs = strings.Replace(url, "127.0.0.1", "localhost", 1)
	}
	upstream := httptest.NewServer(g.recorder(o.Registry))
	t.Cleanup(upstream.Close)
	ollama := ""
	if o.Ollama != nil {
		server := httptest.NewServer(g.recorder(o.Ollama))
		t.Cleanup(server.Close)
		ollama = server.URL
	}
	g.init(o, l.Addr().String(), upstream.URL, ollama)
	log := slog.New(slog.NewTextHandler(g.Messages, nil))
	nonces := o.Nonces
	if nonces == nil && g.Config.Replay.Redis == "" {
		nonces = &anyTime{nonce.NewMemory(time.Hour, time.Hour)}
	}
	if g.Gate, err = gate.New(g.Config, gate.Options{Keys: backends.New(), Log: log, Decisions: g.decisions, Nonces: nonces}); err != nil {
		t.Fatal(err)
	}
	Serve(t, g.Gate, l)
	return g
}

// Serve lets a gate serve a listener until the test ends, and wants it to end well.
func Serve(t testing.TB, served *gate.Gate, l net.Listener) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- served.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// anyTime is a store without an epoch, so that a test need not wait for the next second.
type anyTime struct{ *nonce.Memory }

func (a *anyTime) Take(ctx context.Context, key nonce.Key, _ time.Time) error {
	return a.Memory.Take(ctx, key, a.Epoch())
}

func (g *Gate) init(o Options, listen, upstream, ollama string) {
	g.t.Helper()
	keys := backends.New().Mux()
	_, err := setup.Init(context.Background(), setup.Options{
		Folder: g.Folder, Listen: listen, Origin: g.Origin, Registry: upstream, Ollama: ollama, Blobs: o.Blobs,
		Certificate: o.TLS, Key: o.TLS, RootKey: "file:root.key", SigningKey: "file:token.key",
	}, keys, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	g.Write(setup.GrantsFile, cmp.Or(o.Grants, DefaultGrants))
	path := filepath.Join(g.Folder, setup.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	if o.Change != nil {
		text = []byte(o.Change(string(text)))
	}
	if g.Config, err = config.Parse(text, path); err != nil {
		g.t.Fatal(err)
	}
}

func (g *Gate) recorder(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.forwarded = append(g.forwarded, r)
		g.mu.Unlock()
		if next != nil {
			next.ServeHTTP(w, r)
		}
	})
}

// Forwarded returns the requests that reached the servers behind the gate.
func (g *Gate) Forwarded() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.forwarded
}

// Write writes a file in the folder of the gate.
func (g *Gate) Write(name, text string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.Folder, name), []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// Enrol makes the keys of authorized_keys those of owners, and uses them at once.
func (g *Gate) Enrol(owners map[string]signer.Signer) {
	g.t.Helper()
	var text strings.Builder
	for name, key := range owners {
		text.WriteString(signer.AuthorizedKey(key.PublicKey()) + " " + name + "\n")
	}
	g.Write(setup.AuthorizedFile, text.String())
	g.Reload()
}

// Decisions returns the audit lines so far.
func (g *Gate) Decisions() []audit.Decision {
	g.t.Helper()
	var all []audit.Decision
	for d := json.NewDecoder(strings.NewReader(g.decisions.String())); ; {
		var line audit.Decision
		if err := d.Decode(&line); err == io.EOF {
			return all
		} else if err != nil {
			g.t.Fatal(err)
		}
		all = append(all, line)
	}
}

// LastReason returns the reason of the last decision.
func (g *Gate) LastReason() string {
	g.t.Helper()
	all := g.Decisions()
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].Reason
}

// Client returns a client that signs with key.
func (g *Gate) Client(key signer.Signer) *challenge.Client {
	return &challenge.Client{Key: challenge.StaticKey(key)}
}

// NewKey returns a new Ed25519 key.
func NewKey(t testing.TB) signer.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A Buffer is a bytes.Buffer that is safe for concurrent use.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
