package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/remedy"
	"github.com/countersign/countersign/signer"
)

// demoTimeout bounds each call of a store. The demo shows the stores that work and
// does not wait for others.
const demoTimeout = time.Second

func (a *app) demoCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See every backend answer a registry's challenge on this machine",
		Long: `Start a registry on loopback, make a key in each backend that works here, and let
each answer the registry's challenge. It needs no network, no home directory and
no configuration, and leaves nothing behind.`,
		Args: checkArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

// A demoKey makes a new key in one backend. It returns the reference of the key
// and the function that deletes it.
type demoKey struct {
	scheme string
	make   func(context.Context, backends.Set) (ref string, remove func(), err error)
}

var demoKeys = []demoKey{{"agent", makeAgentKey}, {"env", makeEnvKey}, {"file", makeFileKey}, {"keyring", makeKeyringKey}}

func (a *app) demo(ctx context.Context) error {
	registry, err := challengetest.Start(challengetest.Config{Service: "demo"})
	if err != nil {
		return err
	}
	defer registry.Close()
	registry.AddImage("demo", "latest", []byte("hello"))
	keys := backends.New()
	keys.Keyring.Timeout = demoTimeout
	results := make([]demoResult, len(demoKeys))
	var all sync.WaitGroup
	for i, k := range demoKeys {
		all.Go(func() { results[i] = k.run(ctx, keys, registry.URL+"/v2/demo/manifests/latest") })
	}
	all.Wait()
	return a.printResults(registry.URL, results)
}

// A demoResult is one line of the demo's table, or the error that replaces it.
type demoResult struct {
	scheme, key, scope, status string
	took                       time.Duration
	err                        error
}

func (a *app) printResults(registry string, results []demoResult) error {
	rows := [][]string{{"BACKEND", "KEY", "CHALLENGED FOR", "CAME BACK", "TOOK"}}
	for _, r := range results {
		if r.err != nil {
			rows = append(rows, []string{r.scheme, "-", "-", "see below", "-"})
			continue
		}
		rows = append(rows, []string{r.scheme, r.key, r.scope, r.status, r.took.Round(100 * time.Microsecond).String()})
	}
	err := errors.Join(
		a.print("A registry at %s challenges a GET of /v2/demo/manifests/latest.\n", registry),
		a.print("Each backend makes a key, answers with it, and removes it again.\n\n"),
		a.printTable(3, rows),
	)
	for _, r := range results {
		if r.err == nil {
			continue
		}
		err = errors.Join(err, a.print("\n%s: %v\n", r.scheme, r.err))
		if do := remedy.Of(r.err); do != "" {
			err = errors.Join(err, a.print("  %s\n", do))
		}
		if !isUnusable(r.err) {
			err = errors.Join(err, fmt.Errorf("%s should work here and does not", r.scheme))
		}
	}
	return err
}

// isUnusable reports whether err means that this machine has no such store, or
// that the store is locked. The demo does not count that as a failure.
func isUnusable(err error) bool {
	for _, state := range []error{signer.ErrUnavailable, signer.ErrLocked, signer.ErrDenied, context.DeadlineExceeded} {
		if errors.Is(err, state) {
			return true
		}
	}
	return false
}

// run makes a key, gets target with it, and deletes the key.
func (k demoKey) run(ctx context.Context, keys backends.Set, target string) demoResult {
	r := demoResult{scheme: k.scheme}
	var remove func()
	var ref string
	if ref, remove, r.err = k.make(ctx, keys); r.err != nil {
		return r
	}
	defer remove()
	start := time.Now()
	r.err = r.get(ctx, keys, ref, target)
	r.took = time.Since(start)
	return r
}

func (r *demoResult) get(ctx context.Context, keys backends.Set, ref, target string) error {
	key, err := keys.Open(ctx, ref)
	if err != nil {
		return err
	}
	r.key = ssh.FingerprintSHA256(key.PublicKey())
	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{
		Key: challenge.StaticKey(key),
	}}}
	ctx = challenge.WithTrace(ctx, &challenge.Trace{Challenged: func(e challenge.Event) { r.scope = e.Scope }})
	resp, err := getURL(ctx, client, target)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r.status = "a token, then " + resp.Status
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func makeEnvKey(context.Context, backends.Set) (string, func(), error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "demo")
	if err != nil {
		return "", nil, err
	}
	name := "COUNTERSIGN_DEMO_" + rand.Text()
	if err := os.Setenv(name, string(pem.EncodeToMemory(block))); err != nil {
		return "", nil, err
	}
	return "env:" + name, func() { os.Unsetenv(name) }, nil
}

func makeFileKey(ctx context.Context, keys backends.Set) (string, func(), error) {
	dir, err := os.MkdirTemp("", "countersign-demo-")
	if err != nil {
		return "", nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	name := filepath.Join(dir, "id_ed25519")
	if _, err := keys.File.Generate(ctx, name); err != nil {
		remove()
		return "", nil, err
	}
	return "file:" + name, remove, nil
}

func makeKeyringKey(ctx context.Context, keys backends.Set) (string, func(), error) {
	name := "countersign-demo-" + strings.ToLower(rand.Text())
	remove := func() { _ = keys.Keyring.Delete(context.WithoutCancel(ctx), name) }
	if _, err := keys.Keyring.Generate(ctx, name); err != nil {
		if !errors.Is(err, signer.ErrUnavailable) {
			remove() // the store may have the key in spite of the error
		}
		return "", nil, err
	}
	return "keyring:" + name, remove, nil
}
