package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/scheme/reg"
	"github.com/regclient/regclient/types/ref"
	oras "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/countersign/countersign/challenge"
)

// A client is one implementation of the token flow, used in the way that its
// documentation shows, with its own defaults.
type client struct {
	name    string
	connect func(testing.TB, site) pull
}

// A pull asks the site for the image in a repository, once for each of so many
// callers at once, and returns the errors of those who failed.
type pull func(ctx context.Context, repo string, callers int) []error

const (
	ours    = "countersign"
	ollamaX = "ollama x/transfer"
)

func clients() []client {
	return []client{
		{ours, connectOurs},
		{"oras-go", connectOras},
		{"go-containerregistry", connectGGCR},
		{"containerd", connectContainerd},
		{"regclient", connectRegclient},
		{ollamaX, connectOllama},
	}
}

// each makes a pull of what one caller does.
func each(one func(ctx context.Context, repo string) error) pull {
	return func(ctx context.Context, repo string, callers int) []error {
		errs := make([]error, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() { errs[i] = one(ctx, repo) })
		}
		all.Wait()
		return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	}
}

func ourTransport(s site) *challenge.Transport {
	return &challenge.Transport{Base: s.base, Client: &challenge.Client{
		HTTP: &http.Client{Transport: s.base},
		Key:  challenge.StaticKey(s.key),
	}}
}

func connectOurs(_ testing.TB, s site) pull {
	client := &http.Client{Transport: ourTransport(s)}
	return each(func(ctx context.Context, repo string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.url+"/v2/"+repo+"/manifests/latest", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", resp.Status)
		}
		return nil
	})
}

func orasClient(base http.RoundTripper) *auth.Client {
	return &auth.Client{Client: &http.Client{Transport: retry.NewTransport(base)}, Cache: auth.NewCache()}
}

func connectOras(_ testing.TB, s site) pull {
	client := orasClient(signed{s})
	return each(func(ctx context.Context, repo string) error {
		r, err := oras.NewRepository(s.host() + "/" + repo)
		if err != nil {
			return err
		}
		r.Client, r.PlainHTTP = client, strings.HasPrefix(s.url, "http:")
		_, err = r.Resolve(ctx, "latest")
		return err
	})
}

func connectGGCR(tb testing.TB, s site) pull {
	puller, err := remote.NewPuller(remote.WithTransport(signed{s}))
	if err != nil {
		tb.Fatal(err)
	}
	return each(func(ctx context.Context, repo string) error {
		ref, err := name.ParseReference(s.host() + "/" + repo)
		if err != nil {
			return err
		}
		_, err = puller.Head(ctx, ref)
		return err
	})
}

func connectContainerd(_ testing.TB, s site) pull {
	authorizer := docker.NewDockerAuthorizer(docker.WithAuthClient(s.peerClient()))
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
		docker.WithAuthorizer(authorizer),
		docker.WithClient(s.peerClient()),
		docker.WithPlainHTTP(docker.MatchLocalhost),
	)})
	return each(func(ctx context.Context, repo string) error {
		_, _, err := resolver.Resolve(ctx, s.host()+"/"+repo+":latest")
		return err
	})
}

func connectRegclient(_ testing.TB, s site) pull {
	host := config.Host{Name: s.host(), TLS: config.TLSEnabled, ReqConcurrent: callers} // it would be 3 at once
	if strings.HasPrefix(s.url, "http:") {
		host.TLS = config.TLSDisabled
	}
	client := regclient.New(regclient.WithConfigHost(host), regclient.WithRegOpts(reg.WithHTTPClient(s.peerClient())))
	return each(func(ctx context.Context, repo string) error {
		r, err := ref.New(s.host() + "/" + repo + ":latest")
		if err != nil {
			return err
		}
		_, err = client.ManifestHead(ctx, r)
		return err
	})
}
