// Package stage starts a gate on loopback for a program that shows or tries it, with a
// registry of CNCF distribution and a stand-in for an Ollama server behind it.
package stage

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/gate"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/demo/distribution"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

// Options describe a Stage.
type Options struct {
	Grants    string    // text of the grants
	Decisions io.Writer // gets the audit lines

	// Ollama stands in for the Ollama server; nil means a server that streams a reply of four
	// pieces.
	Ollama http.Handler

	// Certificate and Key are the files for TLS; "" means http.
	Certificate, Key string

	// Log gets the messages of the gate; nil means nobody.
	Log *slog.Logger

	// Configure changes the configuration before the gate starts. It may be nil.
	Configure func(*config.Config)
}

// A Stage has the servers of a demonstration.
type Stage struct {
	Origin string
	Folder string // of the gate's files
	Config *config.Config
	Gate   *gate.Gate

	ends []func() error // in the order of the starts
}

// Start starts the servers. No key is enrolled. The gate reads its files again when they
// change. Call Close after use.
func Start(ctx context.Context, o Options) (s *Stage, err error) {
	s = &Stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.Folder, err = os.MkdirTemp("", "countersignd-demo-"); err != nil {
		return s, err
	}
	var listeners [3]net.Listener // of the gate, the registry and the Ollama server
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return s, err
		}
		s.ends = append(s.ends, func() error { listeners[i].Close(); return nil }) // a server closed it already
	}
	if err := s.configure(ctx, listeners, o); err != nil {
		return s, err
	}
	registry, end := distribution.New(ctx, s.Config.Sites[0])
	s.ends = append(s.ends, func() error { end(); return nil })
	s.serve(listeners[1], registry)
	if o.Ollama == nil {
		o.Ollama = http.HandlerFunc(serveOllama)
	}
	s.serve(listeners[2], o.Ollama)
	return s, s.startGate(ctx, listeners[0], o)
}

// configure makes the files of the gate, as "countersignd init" does.
func (s *Stage) configure(ctx context.Context, l [3]net.Listener, o Options) error {
	at := func(i int) string { return "http://" + l[i].Addr().String() }
	s.Origin = at(0)
	if o.Certificate != "" {
		s.Origin = strings.Replace(s.Origin, "http:", "https:", 1)
	}
	_, err := setup.Init(ctx, setup.Options{
		Folder: s.Folder, Listen: l[0].Addr().String(), Origin: s.Origin, Registry: at(1), Ollama: at(2),
		Certificate: o.Certificate, Key: o.Key,
		Blobs:   strings.Replace(s.Origin, "127.0.0.1", "localhost", 1),
		RootKey: "file:root.key", SigningKey: "file:token.key",
	}, backends.New().Mux(), time.Now())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Folder, setup.GrantsFile), []byte(o.Grants), 0o600); err != nil {
		return err
	}
	if s.Config, err = config.Load(filepath.Join(s.Folder, setup.ConfigFile)); err != nil {
		return err
	}
	if o.Configure != nil {
		o.Configure(s.Config)
	}
	return nil
}

func (s *Stage) startGate(ctx context.Context, l net.Listener, o Options) (err error) {
	log := cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if s.Gate, err = gate.New(s.Config, gate.Options{Keys: backends.New(), Log: log, Decisions: o.Decisions}); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	watched := make(chan struct{})
	go func() { s.Gate.Watch(ctx, nil); close(watched) }()
	go func() { ended <- s.Gate.Serve(ctx, l) }()
	s.ends = append(s.ends, func() error { stop(); <-watched; return <-ended })
	return nil
}

func (s *Stage) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h}
	go server.Serve(l)
	s.ends = append(s.ends, server.Close)
}

// Close ends the servers, the last one first, and removes the files.
func (s *Stage) Close() error {
	var all []error
	for len(s.ends) > 0 {
		last := len(s.ends) - 1
		all = append(all, s.ends[last]())
		s.ends = s.ends[:last]
	}
	if s.Folder != "" {
		all = append(all, os.RemoveAll(s.Folder))
	}
	return errors.Join(all...)
}

// serveOllama streams a reply in pieces.
func serveOllama(w http.ResponseWriter, r *http.Request) {
	for _, word := range []string{"Hello", "from", "the", "model"} {
		fmt.Fprintf(w, `{"message":{"role":"assistant","content":%q},"done":false}`+"\n", word)
		http.NewResponseController(w).Flush()
	}
	fmt.Fprintln(w, `{"done":true}`)
}

// NewKey returns a new Ed25519 key.
func NewKey() (signer.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return signer.New(private)
}
