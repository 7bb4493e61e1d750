package main

import (
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
	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/demo/distribution"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

const grants = `
[[grant]]
names = ["*"]
repositories = ["users/${name}/*"]
actions = ["pull", "push"]

[[grant]]
names = ["alice"]
endpoints = ["read", "chat"]

[[grant]]
anonymous = true
repositories = ["users/alice/public"]
actions = ["pull"]
`

// A stage has the servers of the demonstration and the keys of its clients.
type stage struct {
	origin          string
	alice, stranger signer.Signer

	folder string
	ends   []func() error // in the order of the starts
}

// startStage starts the servers, and enrols the key of alice.
func startStage(ctx context.Context, decisions io.Writer) (s *stage, err error) {
	s = &stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.folder, err = os.MkdirTemp("", "countersignd-demo-"); err != nil {
		return s, err
	}
	for _, key := range []*signer.Signer{&s.alice, &s.stranger} {
		if *key, err = newKey(); err != nil {
			return s, err
		}
	}
	var listeners [3]net.Listener // of the gate, the registry and the Ollama server
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return s, err
		}
		s.ends = append(s.ends, func() error { listeners[i].Close(); return nil }) // a server closed it already
	}
	c, err := s.configure(ctx, listeners)
	if err != nil {
		return s, err
	}
	registry, end := distribution.New(ctx, c.Sites[0])
	s.ends = append(s.ends, func() error { end(); return nil })
	s.serve(listeners[1], registry)
	s.serve(listeners[2], http.HandlerFunc(serveOllama))
	return s, s.startGate(ctx, c, listeners[0], decisions)
}

// configure makes the files of the gate, as "countersignd init" does.
func (s *stage) configure(ctx context.Context, l [3]net.Listener) (*config.Config, error) {
	at := func(i int) string { return "http://" + l[i].Addr().String() }
	s.origin = at(0)
	_, err := setup.Init(ctx, setup.Options{
		Folder: s.folder, Listen: l[0].Addr().String(), Origin: s.origin, Registry: at(1), Ollama: at(2),
		Blobs:   strings.Replace(s.origin, "127.0.0.1", "localhost", 1),
		RootKey: "file:root.key", SigningKey: "file:token.key",
	}, backends.New().Mux(), time.Now())
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.folder, setup.GrantsFile), []byte(grants), 0o600); err != nil {
		return nil, err
	}
	if err := authkeys.Append(filepath.Join(s.folder, setup.AuthorizedFile), s.alice.PublicKey(), "alice"); err != nil {
		return nil, err
	}
	return config.Load(filepath.Join(s.folder, setup.ConfigFile))
}

func (s *stage) startGate(ctx context.Context, c *config.Config, l net.Listener, decisions io.Writer) error {
	g, err := gate.New(c, gate.Options{Keys: backends.New(), Log: slog.New(slog.DiscardHandler), Decisions: decisions})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	s.ends = append(s.ends, func() error { stop(); return <-ended })
	return nil
}

func (s *stage) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h}
	go server.Serve(l)
	s.ends = append(s.ends, server.Close)
}

// close ends the servers, the last one first, and removes the files.
func (s *stage) close() error {
	var all []error
	for len(s.ends) > 0 {
		last := len(s.ends) - 1
		all = append(all, s.ends[last]())
		s.ends = s.ends[:last]
	}
	if s.folder != "" {
		all = append(all, os.RemoveAll(s.folder))
	}
	return errors.Join(all...)
}

// serveOllama stands in for an Ollama server: it streams a reply in pieces.
func serveOllama(w http.ResponseWriter, r *http.Request) {
	for _, word := range []string{"Hello", "from", "the", "model"} {
		fmt.Fprintf(w, `{"message":{"role":"assistant","content":%q},"done":false}`+"\n", word)
		http.NewResponseController(w).Flush()
	}
	fmt.Fprintln(w, `{"done":true}`)
}

func newKey() (signer.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return signer.New(private)
}
