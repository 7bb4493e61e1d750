// Package setup makes the files of a new gate, and new signing keys for an old one.
package setup

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/registry"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// The names of the files that Init makes.
const (
	ConfigFile      = "countersignd.toml"
	AuthorizedFile  = "authorized_keys"
	GrantsFile      = "grants.toml"
	RootFile        = "root.crt"
	CertificateFile = "token.crt"
	BlobSecretFile  = "blob.secret"
	PendingFile     = "pending.json"
)

// Options describe the site of a new gate.
type Options struct {
	Folder string // made if it is missing

	Listen, Origin, Registry, Ollama, Blobs string // as in the configuration
	Certificate, Key                        string // of TLS, as in the configuration; may be ""

	// RootKey and SigningKey are references, relative to Folder if they are file:. A
	// key that is missing is made.
	RootKey, SigningKey string
}

// Init writes the files of a new gate and returns their paths. It replaces no file:
// signer.ErrExists. The keys are opened and made through keys.
func Init(ctx context.Context, o Options, keys signer.Mux, now time.Time) ([]string, error) {
	text, err := configText(o)
	if err != nil {
		return nil, err
	}
	path := func(name string) string { return filepath.Join(o.Folder, name) }
	c, err := config.Parse(text, path(ConfigFile))
	if err != nil {
		return nil, fmt.Errorf("these options make no good configuration: %w", err)
	}
	for _, name := range []string{ConfigFile, AuthorizedFile, GrantsFile, RootFile, CertificateFile, BlobSecretFile} {
		if _, err := os.Lstat(path(name)); !errors.Is(err, fs.ErrNotExist) {
			err := fmt.Errorf("%w: %s", signer.ErrExists, printable.Text(path(name)))
			return nil, signer.WithHint(err, signer.Hint{Do: "choose another folder, or move the file away"})
		}
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, printable.Error(err)
	}
	site := c.Sites[0]
	rootKey, err := openOrMake(ctx, keys, site.Tokens.RootKey)
	if err != nil {
		return nil, fmt.Errorf("key of the root certificate: %w", err)
	}
	signingKey, err := openOrMake(ctx, keys, site.Tokens.SigningKey)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	root, err := token.NewRoot(ctx, rootKey, "countersignd "+site.Service(), now)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	leaf, err := newLeaf(ctx, root, rootKey, signingKey, now)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, registry.SecretSize)
	rand.Read(secret)
	files := []struct {
		name string
		mode os.FileMode
		data []byte
	}{
		{RootFile, 0o644, root},
		{CertificateFile, 0o644, leaf},
		{BlobSecretFile, 0o600, []byte(base64.StdEncoding.EncodeToString(secret) + "\n")},
		{AuthorizedFile, 0o600, []byte(authorizedText)},
		{GrantsFile, 0o644, []byte(grantsText)},
		{ConfigFile, 0o644, text},
	}
	var made []string
	for _, f := range files {
		if err := create(path(f.name), f.data, f.mode); err != nil {
			return made, err
		}
		made = append(made, path(f.name))
	}
	return made, nil
}

func newLeaf(ctx context.Context, root []byte, rootKey, signingKey signer.Signer, now time.Time) ([]byte, error) {
	all, err := token.ParseCertificates(root)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	leaf, err := token.NewLeaf(ctx, all[0], rootKey, signingKey.PublicKey(), now)
	if err != nil {
		return nil, fmt.Errorf("certificate of the signing key: %w", err)
	}
	return leaf, nil
}

// openOrMake opens the key that ref names, or makes it if it is missing.
func openOrMake(ctx context.Context, keys signer.Mux, ref string) (signer.Signer, error) {
	s, err := keys.Open(ctx, ref)
	if !errors.Is(err, signer.ErrNotFound) {
		return s, err
	}
	b, name, err := keys.Resolve(ref)
	if err != nil {
		return nil, err
	}
	g, ok := b.(signer.Generator)
	if !ok {
		return nil, fmt.Errorf("%w: this key is missing, and its store cannot make one", signer.ErrUnsupported)
	}
	return g.Generate(ctx, name)
}

// Rotate gives a site a new certificate for its signing key, signed by the key of the
// root certificate, and returns the path of the certificate. A signing key in a file is
// replaced by a new one. A key elsewhere is replaced in its own store before. The gate
// uses both within a second, without a restart, and so does the registry.
func Rotate(ctx context.Context, site config.Site, keys signer.Mux, now time.Time) (string, error) {
	t := site.Tokens
	if t.RootKey == "" || t.Root == "" || t.Certificate == "" {
		return "", errors.New("the site has no root, root_key or certificate in [site.tokens]")
	}
	root, err := os.ReadFile(t.Root)
	if err != nil {
		return "", printable.Error(err)
	}
	rootKey, err := keys.Open(ctx, t.RootKey)
	if err != nil {
		return "", fmt.Errorf("key of the root certificate: %w", err)
	}
	ref := t.SigningKey
	path, inFile := strings.CutPrefix(ref, "file:")
	if inFile {
		ref += nextSuffix
		for _, name := range []string{path + nextSuffix, path + nextSuffix + ".pub"} { // of a rotation that did not end
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", printable.Error(err)
			}
		}
	}
	signingKey, err := openOrMake(ctx, keys, ref)
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	leaf, err := newLeaf(ctx, root, rootKey, signingKey, now)
	if err != nil {
		return "", err
	}
	if inFile {
		for _, suffix := range []string{"", ".pub"} {
			if err := os.Rename(path+nextSuffix+suffix, path+suffix); err != nil {
				return "", printable.Error(err)
			}
		}
	}
	return t.Certificate, replace(t.Certificate, leaf)
}

// nextSuffix ends the name of a signing key that is not used yet.
const nextSuffix = ".next"

// create writes a new file.
func create(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return printable.Error(err)
	}
	_, err = f.Write(data)
	return printable.Error(errors.Join(err, f.Close()))
}

// replace writes a file in one step: a reader sees the old content or the new.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".countersignd-*")
	if err != nil {
		return printable.Error(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return printable.Error(err)
	}
	return printable.Error(os.Rename(f.Name(), path))
}
