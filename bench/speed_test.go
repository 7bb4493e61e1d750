package main

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	ollama "github.com/ollama/ollama/auth"
	"golang.org/x/crypto/ssh"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/countersign/countersign/challenge"
)

// A contest is the same work done by several.
type contest struct {
	name    string
	entries []entry
}

type entry struct {
	name string
	run  func(*testing.B)
}

const (
	raw   = "ed25519.Sign alone"
	plain = "http.Client alone"
)

func contests() []contest {
	return []contest{
		{"Parse", parsing()},
		{"Sign", []entry{{ours, signOurs}, {"ollama auth.Sign", signOllama}, {raw, signRaw}}},
		{"Request", eachRequester(requester.alone)},
	}
}

func BenchmarkParse(b *testing.B)   { contests()[0].benchmark(b) }
func BenchmarkSign(b *testing.B)    { contests()[1].benchmark(b) }
func BenchmarkRequest(b *testing.B) { contests()[2].benchmark(b) }

func (c contest) benchmark(b *testing.B) {
	for _, e := range c.entries {
		b.Run(e.name, e.run)
	}
}

// loop measures op: besides what testing does, the time that it computes.
func loop(b *testing.B, op func()) {
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		op()
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), cpuUnit)
}

const cpuUnit = "cpu-ns/op"

// parsing reads realm, service and scope of what registry.ollama.ai sends.
func parsing() []entry {
	var entries []entry
	for _, p := range parsers() {
		entries = append(entries, entry{p.name, func(b *testing.B) {
			h := http.Header{"Www-Authenticate": {ollamaLine}}
			loop(b, func() {
				if realm, service, scope := p.parse(h); realm == "" || service == "" || scope == "" {
					b.Fatal("not parsed")
				}
			})
		}})
	}
	return entries
}

// message is as long as what is signed for a token.
var message = []byte("GET,https://registry.ollama.ai/v2/token?nonce=HIBrcJXDMoJWgd-9TUdH6Q&scope=repository%3Alibrary%2Fllama3%3Apull&service=ollama.com&ts=1754000000," + emptyHash())

func signOurs(b *testing.B) {
	_, key := newKey(b)
	ctx := b.Context()
	loop(b, func() {
		if _, err := challenge.Sign(ctx, key, message); err != nil {
			b.Fatal(err)
		}
	})
}

func signRaw(b *testing.B) {
	private, _ := newKey(b)
	loop(b, func() { ed25519.Sign(private, message) })
}

// signOllama reads the key file for each signature.
func signOllama(b *testing.B) {
	private, _ := newKey(b)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		b.Fatal(err)
	}
	home := b.TempDir()
	b.Setenv("HOME", home)
	b.Setenv("USERPROFILE", home)
	if err := os.Mkdir(filepath.Join(home, ".ollama"), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ollama", "id_ed25519"), pem.EncodeToMemory(block), 0o600); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	loop(b, func() {
		if _, err := ollama.Sign(ctx, message); err != nil {
			b.Fatal(err)
		}
	})
}

const scope = "repository:" + repo + ":pull"

// newWire answers whoever has a token at once, so that what is left is the client.
func newWire() http.RoundTripper {
	p := &stubRegistry{realm: stubURL + "/token"}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") {
			return wireAnswer(req)
		}
		return p.RoundTrip(req)
	})
}

func wireAnswer(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: wireHeader, Body: http.NoBody, Request: req}, nil
}

var wireHeader = http.Header{}

// A requester is a client that asks for a blob. The function that prepare returns
// makes one request, also when several goroutines call it.
type requester struct {
	name    string
	prepare func(*testing.B) (send func() error)
}

func requesters() []requester {
	return []requester{
		{ours, requestOurs},
		{"oras-go", requestOras},
		{"go-containerregistry", requestGGCR},
		{"containerd", requestContainerd},
		{plain, requestPlain},
	}
}

func eachRequester(run func(requester, *testing.B)) []entry {
	var entries []entry
	for _, r := range requesters() {
		entries = append(entries, entry{r.name, func(b *testing.B) { run(r, b) }})
	}
	return entries
}

// alone measures requests of one goroutine.
func (r requester) alone(b *testing.B) {
	send := r.prepare(b)
	loop(b, func() {
		if err := send(); err != nil {
			b.Fatal(err)
		}
	})
}

// sender returns a function that asks for a blob, each time with a new request as far
// as the client can see. It has asked once, so a token is at hand.
func sender(b *testing.B, ctx context.Context, do func(*http.Request) (*http.Response, error)) func() error {
	template, err := http.NewRequestWithContext(ctx, http.MethodGet, stubURL+"/v2/"+repo+"/blobs/sha256:"+strings.Repeat("0", 64), nil)
	if err != nil {
		b.Fatal(err)
	}
	send := func() error {
		req := template.WithContext(ctx)
		req.Header = http.Header{}
		resp, err := do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
	if err := send(); err != nil {
		b.Fatal(err)
	}
	return send
}

// requestPlain asks a server that wants no token.
func requestPlain(b *testing.B) func() error {
	client := &http.Client{Transport: roundTripper(wireAnswer)}
	return sender(b, b.Context(), client.Do)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func requestOurs(b *testing.B) func() error {
	_, key := newKey(b)
	client := &http.Client{Transport: ourTransport(site{base: newWire(), key: key})}
	return sender(b, b.Context(), client.Do)
}

func requestOras(b *testing.B) func() error {
	client := &auth.Client{Client: &http.Client{Transport: newWire()}, Cache: auth.NewCache()}
	ref := registry.Reference{Registry: "registry.test", Repository: repo}
	return sender(b, auth.AppendRepositoryScope(b.Context(), ref, "pull"), client.Do)
}

func requestGGCR(b *testing.B) func() error {
	reg, err := name.NewRegistry("registry.test")
	if err != nil {
		b.Fatal(err)
	}
	t, err := transport.NewWithContext(b.Context(), reg, authn.Anonymous, newWire(), []string{scope})
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: t}
	return sender(b, b.Context(), client.Do)
}

func requestContainerd(b *testing.B) func() error {
	client := &http.Client{Transport: newWire()}
	authorizer := docker.NewDockerAuthorizer(docker.WithAuthClient(client))
	ctx := docker.WithScope(b.Context(), scope)
	return sender(b, ctx, func(req *http.Request) (*http.Response, error) {
		if err := authorizer.Authorize(ctx, req); err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode == http.StatusOK {
			return resp, err
		}
		if err := authorizer.AddResponses(ctx, []*http.Response{resp}); err != nil {
			return nil, err
		}
		if err := authorizer.Authorize(ctx, req); err != nil {
			return nil, err
		}
		return client.Do(req)
	})
}
