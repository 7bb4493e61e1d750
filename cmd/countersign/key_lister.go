package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/spelling"
	"github.com/countersign/countersign/signer"
)

// A listedKey is a line of key list. Its JSON form does not change; docs/keys.md
// describes it.
type listedKey struct {
	Ref         string `json:"ref"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Type        string `json:"type,omitempty"`
	PublicKey   string `json:"public_key,omitempty"` // as in authorized_keys
	Comment     string `json:"comment,omitempty"`
	Problem     string `json:"problem,omitempty"` // a word that does not change
	Reason      string `json:"reason,omitempty"`

	Purposes []guard.Purpose `json:"purposes,omitempty"` // of a key that the configuration limits
}

// A lister gathers keys, and asks nobody for anything.
type lister struct {
	config   *config.Config
	backends backends.Set
	keys     map[string]listedKey // by place
	failed   map[string]error     // by the scheme of the store that could not list its keys
}

func newLister(c *config.Config, quiet backends.Set) *lister {
	return &lister{c, quiet, map[string]listedKey{}, map[string]error{}}
}

func (l *lister) sorted() []listedKey {
	keys := slices.AppendSeq([]listedKey{}, maps.Values(l.keys))
	slices.SortFunc(keys, func(x, y listedKey) int { return cmp.Compare(x.Ref, y.Ref) })
	return keys
}

// addStores adds the keys of the stores that can name them.
func (l *lister) addStores(ctx context.Context) {
	for scheme, backend := range l.backends.Mux() {
		store, ok := backend.(signer.Lister)
		if !ok {
			continue
		}
		infos, err := store.List(ctx)
		if err != nil {
			l.failed[scheme] = signer.Wrap("list", scheme+":", err)
		}
		for _, info := range infos {
			ref := scheme + ":" + info.Name
			if mayPrompt(scheme) {
				l.add(ref, info, nil)
				continue
			}
			pub, err := l.inspect(ctx, ref)
			if pub != nil {
				info.PublicKey = pub // otherwise the one in info, which the store knows without opening the key
			}
			l.add(ref, info, err)
		}
	}
}

// addChosen adds the keys that would be used here, if they are there and were
// not listed.
func (l *lister) addChosen(ctx context.Context, choice config.Choice) error {
	for _, candidate := range choice.Candidates {
		scheme, name, _ := strings.Cut(candidate.Ref, ":")
		_, listed := l.keys[l.canonical(candidate.Ref)]
		failed := l.failed[scheme] != nil && !errors.Is(l.failed[scheme], signer.ErrDenied) // a key may be open to a user who may not list
		if listed || failed || mayPrompt(scheme) {
			continue
		}
		pub, err := l.inspect(ctx, candidate.Ref)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, signer.ErrName):
			return err
		case signer.IsAbsent(err):
			continue
		}
		l.add(candidate.Ref, signer.Info{Name: name, PublicKey: pub}, err)
	}
	return nil
}

// mayPrompt reports whether opening a key of scheme may prompt a person. The Keychain
// of macOS does so before it reads an item of another program, without a warning.
func mayPrompt(scheme string) bool { return scheme == "keyring" && runtime.GOOS == "darwin" }

// inspect opens a key. It returns the public half, and an error if the key cannot sign.
func (l *lister) inspect(ctx context.Context, ref string) (ssh.PublicKey, error) {
	key, err := l.backends.Open(ctx, ref)
	if err != nil {
		return nil, spelling.WithSchemeHint(err, ref)
	}
	store, name, err := backendFor[signer.Exporter](l.backends, "export", ref)
	if err == nil {
		_, err = store.Export(ctx, name) // a passphrase does not show before it is needed
	}
	if errors.Is(err, signer.ErrLocked) {
		return key.PublicKey(), errPassphrase
	}
	return key.PublicKey(), nil
}

func (l *lister) add(ref string, info signer.Info, err error) {
	key := listedKey{Ref: ref, Comment: info.Comment}
	if info.PublicKey != nil {
		key.Fingerprint, key.Type = ssh.FingerprintSHA256(info.PublicKey), info.PublicKey.Type()
		key.PublicKey = signer.AuthorizedKey(info.PublicKey)
		key.Purposes, _ = l.config.Purposes(ref, info.PublicKey)
	}
	if err != nil {
		key.Problem, key.Reason = problem(err), reason(err)
	}
	l.keys[l.canonical(ref)] = key
}

// canonical returns one reference for all references to the same key, because those of
// a file may differ.
func (l *lister) canonical(ref string) string {
	scheme, name, _ := strings.Cut(ref, ":")
	if scheme != "file" {
		return ref
	}
	path, err := l.backends.File.Path(name)
	if err != nil {
		return ref
	}
	return scheme + ":" + filepath.Clean(path)
}

var errPassphrase = fmt.Errorf("%w: it has a passphrase", signer.ErrLocked)

// problem is one of the words that docs/keys.md explains.
func problem(err error) string {
	for _, p := range []struct {
		is   error
		word string
	}{
		{context.DeadlineExceeded, "no answer"},
		{signer.ErrLocked, "locked"},
		{signer.ErrDenied, "denied"},
		{signer.ErrInsecure, "insecure"},
		{signer.ErrUnsupported, "unsupported"},
		{keyring.ErrNoKey, "no key"},
	} {
		if errors.Is(err, p.is) {
			return p.word
		}
	}
	return "damaged"
}

// reason leaves out the reference, which stands beside it.
func reason(err error) string {
	if e, ok := errors.AsType[*signer.Error](err); ok {
		err = e.Err
	}
	return err.Error()
}
