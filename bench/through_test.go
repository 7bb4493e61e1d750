package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	orasremote "oras.land/oras-go/v2/registry/remote"

	"github.com/countersign/countersign/challenge/challengetest"
)

// Both libraries push and pull through our Transport as it is.

func TestOrasThroughTransport(t *testing.T) {
	registry, s := open(t, challengetest.Config{})
	repository, err := orasremote.NewRepository(s.host() + "/library/pushed")
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	repository.Client = &http.Client{Transport: ourTransport(s)}

	ctx, here := t.Context(), memory.New()
	layer, err := oras.PushBytes(ctx, here, "application/vnd.test.layer", []byte("weights"))
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := oras.PackManifest(ctx, here, oras.PackManifestVersion1_1, "application/vnd.test", oras.PackManifestOptions{
		Layers: append(oras.PackManifestOptions{}.Layers, layer),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := here.Tag(ctx, pushed, "latest"); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(ctx, here, "latest", repository, "latest", oras.DefaultCopyOptions); err != nil {
		t.Fatalf("push: %v", err)
	}
	pulled, err := oras.Copy(ctx, repository, "latest", memory.New(), "latest", oras.DefaultCopyOptions)
	if err != nil {
		t.Fatalf("pull: %v", err)
	}
	if pulled.Digest != pushed.Digest {
		t.Errorf("pushed %s and pulled %s", pushed.Digest, pulled.Digest)
	}
	wantFewExchanges(t, registry)
}

func TestGoContainerregistryThroughTransport(t *testing.T) {
	registry, s := open(t, challengetest.Config{})
	ref, err := name.ParseReference(s.host() + "/library/pushed:latest")
	if err != nil {
		t.Fatal(err)
	}
	through := remote.WithTransport(ourTransport(s))
	pushed, err := random.Image(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, pushed, through); err != nil {
		t.Fatalf("push: %v", err)
	}
	pulled, err := remote.Image(ref, through)
	if err != nil {
		t.Fatalf("pull: %v", err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Errorf("pull: %v", err)
	}
	want, err := pushed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pulled.Digest(); got != want {
		t.Errorf("pushed %s and pulled %s, %v", want, got, err)
	}
	wantFewExchanges(t, registry)
}

// wantFewExchanges wants one for /v2/, one to pull and one to push at most.
func wantFewExchanges(t *testing.T, r *challengetest.Registry) {
	t.Helper()
	s := r.Stats()
	t.Logf("%+v", s)
	if s.Exchanges < 1 || s.Exchanges > 3 || s.Challenges > s.Exchanges {
		t.Errorf("%d exchanges and %d challenges", s.Exchanges, s.Challenges)
	}
	if sent := r.Last(challengetest.Resources).Header.Get("Authorization"); !strings.HasPrefix(sent, "Bearer ") {
		t.Error("the last request had no token")
	}
}
