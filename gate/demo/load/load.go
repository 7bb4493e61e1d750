package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/demo/internal/stage"
)

const (
	timeout = 30 * time.Second      // of a request, and of a change
	poll    = 20 * time.Millisecond // between two looks whether a change is in force

	tags   = `{"models":[]}`
	piece  = `{"message":{"content":"piece"},"done":false}` + "\n"
	pieces = 5
	chat   = piece + piece + piece + piece + piece + `{"done":true}`
)

// A load is a gate with its clients.
type load struct {
	options options
	stage   *stage.Stage
	files   string // folder of the files for TLS
	ca      *authority
	tally   tally

	// kept has connections that stay open, and fresh has one for each request.
	kept, fresh *http.Client
	serial      atomic.Int64 // of the last certificate of a fresh connection

	users    []*user
	operator *identity // finds out whether a change is in force; its key does not change
	stranger *identity // its key is never enrolled

	gone gone
}

// A user is an honest client, whose key changes.
type user struct {
	name string

	mu  sync.RWMutex // held for reading during each request
	now *identity
}

// gone has the identities whose keys were removed. It is safe for concurrent use.
type gone struct {
	mu  sync.Mutex
	all []*identity
}

func (g *gone) add(i *identity) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, i)
}

// nth returns one of the identities, or nil if there is none.
func (g *gone) nth(n int) *identity {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.all) == 0 {
		return nil
	}
	return g.all[n%len(g.all)]
}

// newLoad starts a gate with TLS, enrols the keys of the clients and pushes their models.
func newLoad(ctx context.Context, o options) (l *load, err error) {
	l = &load{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.files, err = os.MkdirTemp("", "countersignd-load-"); err != nil {
		return l, err
	}
	if l.ca, err = newAuthority(); err != nil {
		return l, err
	}
	if err := l.writeCertificate(1); err != nil {
		return l, err
	}
	l.stage, err = stage.Start(ctx, stage.Options{
		Grants: grantsText(0), Decisions: io.Discard, Ollama: http.HandlerFunc(serveOllama),
		Certificate: l.certificatePath(), Key: l.keyPath(),
		Configure: func(c *config.Config) { c.Limits.PerAddress, c.Limits.PerKey = 1_000_000, 1_000_000 },
	})
	if err != nil {
		return l, err
	}
	l.kept = l.client(false)
	l.fresh = l.client(true)
	return l, l.enrolAll(ctx)
}

// client returns a client that trusts the authority of the certificates.
func (l *load) client(fresh bool) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		ForceAttemptHTTP2: !fresh, DisableKeepAlives: fresh, MaxIdleConnsPerHost: 100,
		TLSClientConfig: &tls.Config{RootCAs: l.ca.pool, VerifyConnection: func(s tls.ConnectionState) error {
			if fresh {
				l.serial.Store(s.PeerCertificates[0].SerialNumber.Int64())
			}
			return nil
		}},
	}}
}

func (l *load) enrolAll(ctx context.Context) error {
	var err, err2 error
	l.operator, err = newIdentity("operator", 0)
	l.stranger, err2 = newIdentity("stranger", 0)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	for n := range 4 {
		i, err := newIdentity(fmt.Sprintf("user%d", n), n)
		if err != nil {
			return err
		}
		l.users = append(l.users, &user{name: i.name, now: i})
	}
	if err := l.writeKeys(nil); err != nil {
		return err
	}
	l.stage.Gate.Reload()
	for _, u := range l.users {
		client := &http.Client{Timeout: timeout, Transport: &challenge.Transport{Client: &challenge.Client{Key: challenge.StaticKey(u.now.key), Base: l.kept.Transport}}}
		if err := l.stage.Push(ctx, client, "users/"+u.name+"/model", model(u.now)); err != nil {
			return err
		}
		if err := l.complete(ctx, u.now); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) close() error {
	var err error
	for _, c := range []*http.Client{l.kept, l.fresh} {
		if c != nil {
			c.CloseIdleConnections()
		}
	}
	if l.stage != nil {
		err = l.stage.Close()
	}
	return errors.Join(err, os.RemoveAll(l.files))
}

func (l *load) certificatePath() string { return filepath.Join(l.files, "tls.crt") }
func (l *load) keyPath() string         { return filepath.Join(l.files, "tls.key") }

// run lets clients send until the time is over. A request that runs then ends as usual.
func (l *load) run(ctx context.Context) error {
	if err := l.stage.Gate.Ready(ctx); err != nil {
		return err
	}
	until, stop := context.WithTimeout(ctx, l.options.time)
	defer stop()
	whole := context.WithoutCancel(ctx)
	var tasks sync.WaitGroup
	for _, u := range l.users {
		for _, k := range kinds {
			tasks.Go(func() { l.each(until, func(int) { l.send(whole, u, k) }) })
		}
	}
	for _, c := range cheats {
		tasks.Go(func() { l.each(until, func(int) { l.tally.tried(c.name, c.send(whole, l)) }) })
	}
	tasks.Go(func() { l.each(until, func(n int) { l.tryRemoved(whole, n) }) })
	failed := make(chan error, len(changes))
	for _, change := range changes {
		tasks.Go(func() {
			for n := 1; until.Err() == nil; n++ {
				if err := change(l, whole, n); err != nil {
					failed <- err
					stop()
					return
				}
			}
		})
	}
	tasks.Wait()
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	return errors.Join(append(all, ctx.Err())...)
}

// each calls do once, and then at the rate of the options until ctx ends.
func (l *load) each(ctx context.Context, do func(n int)) {
	ticker := time.NewTicker(time.Second / time.Duration(l.options.rate))
	defer ticker.Stop()
	for n := 0; ; n++ {
		do(n)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (l *load) send(ctx context.Context, u *user, k kind) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	start := time.Now()
	err := k.send(ctx, l, u.now)
	l.tally.sent(k.name, time.Since(start), err)
}

// serveOllama streams a chat in pieces.
func serveOllama(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/tags" {
		io.WriteString(w, tags)
		return
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range pieces {
		io.WriteString(w, piece)
		http.NewResponseController(w).Flush()
		<-ticker.C
	}
	io.WriteString(w, `{"done":true}`)
}
