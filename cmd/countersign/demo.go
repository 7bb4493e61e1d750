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
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// demoTimeout bounds a backend: the demo shows what works here and waits for
// nothing.
const demoTimeout = time.Second

func (a *app) demoCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See every backend answer a registry's challenge on this machine",
		Long: `Start a registry on loopback, make a key in each backend that works here, and let
each answer the registry's challenge. It needs no network, no home directory and
no configuration, and leaves nothing behind.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

// A guest makes a key of its own in one backend and returns a reference to it
// and what removes it again.
type guest struct {
	scheme string
	invite func(context.Context, signer.Mux) (ref string, leave func(), err error)
}

var guests = []guest{{"env", inviteEnv}, {"file", inviteFile}, {"keyring", inviteKeyring}}

func (a *app) demo(ctx context.Context) error {
	registry, err := challengetest.Start(challengetest.Config{Service: "demo"})
	if err != nil {
		return err
	}
	defer registry.Close()
	registry.AddImage("demo", "latest", []byte("hello"))
	keys := backends.New()
	keys["keyring"] = &keyring.Backend{Timeout: demoTimeout}
	results := make([]result, len(guests))
	var all sync.WaitGroup
	for i, g := range guests {
		all.Go(func() { results[i] = g.visit(ctx, keys, registry.URL+"/v2/demo/manifests/latest") })
	}
	all.Wait()
	return printResults(a.stdout, registry.URL, results)
}

// A result is a line of the demo's table, or the reason why there is none.
type result struct {
	scheme, key, scope, status string
	took                       time.Duration
	err                        error
}

func printResults(out io.Writer, registry string, results []result) error {
	fmt.Fprintf(out, "A registry at %s challenges a GET of /v2/demo/manifests/latest.\n", registry)
	fmt.Fprint(out, "Each backend makes a key, answers with it, and removes it again.\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "BACKEND\tKEY\tCHALLENGED FOR\tCAME BACK\tTOOK")
	for _, r := range results {
		if r.err != nil {
			fmt.Fprintf(w, "%s\t-\t-\tsee below\t-\n", r.scheme)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%v\n", r.scheme, r.key, r.scope, r.status, r.took.Round(100*time.Microsecond))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var failed error
	for _, r := range results {
		if r.err == nil {
			continue
		}
		fmt.Fprintf(out, "\n%s: %v\n", r.scheme, r.err)
		if !absent(r.err) {
			failed = fmt.Errorf("%s should work here and does not", r.scheme)
		}
	}
	return failed
}

// absent reports whether err says that this machine has no such store to use,
// as many have not.
func absent(err error) bool {
	for _, state := range []error{signer.ErrUnavailable, signer.ErrLocked, signer.ErrDenied, context.DeadlineExceeded} {
		if errors.Is(err, state) {
			return true
		}
	}
	return false
}

func (g guest) visit(ctx context.Context, keys signer.Mux, target string) result {
	r := result{scheme: g.scheme}
	var leave func()
	var ref string
	if ref, leave, r.err = g.invite(ctx, keys); r.err != nil {
		return r
	}
	defer leave()
	start := time.Now()
	r.err = r.answer(ctx, keys, ref, target)
	r.took = time.Since(start)
	return r
}

func (r *result) answer(ctx context.Context, keys signer.Mux, ref, target string) error {
	key, err := keys.Open(ctx, ref)
	if err != nil {
		return err
	}
	r.key = ssh.FingerprintSHA256(key.PublicKey())
	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{
		Key: func(context.Context, *url.URL) (signer.Signer, error) { return key, nil },
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

func inviteEnv(context.Context, signer.Mux) (string, func(), error) {
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

func inviteFile(ctx context.Context, keys signer.Mux) (string, func(), error) {
	dir, err := os.MkdirTemp("", "countersign-demo-")
	if err != nil {
		return "", nil, err
	}
	leave := func() { os.RemoveAll(dir) }
	name := filepath.Join(dir, "id_ed25519")
	if err := generate(ctx, keys, "file", name); err != nil {
		leave()
		return "", nil, err
	}
	return "file:" + name, leave, nil
}

func inviteKeyring(ctx context.Context, keys signer.Mux) (string, func(), error) {
	name := "countersign-demo-" + strings.ToLower(rand.Text())
	leave := func() { _ = keys["keyring"].(signer.Deleter).Delete(context.WithoutCancel(ctx), name) }
	if err := generate(ctx, keys, "keyring", name); err != nil {
		if !errors.Is(err, signer.ErrUnavailable) {
			leave() // it may have been written all the same
		}
		return "", nil, err
	}
	return "keyring:" + name, leave, nil
}

func generate(ctx context.Context, keys signer.Mux, scheme, name string) error {
	g, ok := keys[scheme].(signer.Generator)
	if !ok {
		return errors.ErrUnsupported
	}
	_, err := g.Generate(ctx, name)
	return err
}
