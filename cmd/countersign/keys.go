package main

import (
	"context"
	"net/url"
	"os"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

// builtIn is where a key is looked for when nothing else was said: what a
// container is given, what a desktop keeps, what Ollama has made.
var builtIn = []string{"env:OLLAMA_KEY", "keyring:ollama", "file:~/.ollama/id_ed25519"}

// backends are the built-in ones, set up for a command: variables are not left
// for children, and a passphrase is asked for where somebody can type it.
func (a *app) backends() signer.Mux {
	m := backends.New()
	m["env"] = &env.Backend{Unset: true, Passphrase: a.passphrase()}
	m["file"] = &file.Backend{Passphrase: a.passphrase()}
	return m
}

// open opens the key that was asked for, by --key or by COUNTERSIGN_KEY: those
// are binding. Without either, the first built-in one that is there.
func (a *app) open(ctx context.Context) (signer.Signer, error) {
	if ref := a.asked(); ref != "" {
		return a.backends().Open(ctx, ref)
	}
	return signer.First(ctx, a.backends(), builtIn...)
}

func (a *app) asked() string {
	if a.key != "" {
		return a.key
	}
	return os.Getenv("COUNTERSIGN_KEY")
}

// client opens the key at the first challenge and not before.
func (a *app) client() *challenge.Client {
	opened := signer.Keep(signer.OpenFunc(func(ctx context.Context, _ string) (signer.Signer, error) { return a.open(ctx) }), "")
	return &challenge.Client{
		Key: func(ctx context.Context, _ *url.URL) (signer.Signer, error) { return opened(ctx) },
	}
}
