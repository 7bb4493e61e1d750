package signertest_test

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A fileStore keeps each key in a file. The functions are right after newFileStore;
// a broken store replaces one of them.
type fileStore struct {
	dir     string
	parse   func(ctx context.Context, data []byte) (signer.Signer, error)
	explain func(error) error // for the error of reading a file
	write   func(path string, data []byte) error
	remove  func(path string) error
}

func newFileStore(dir string) *fileStore {
	return &fileStore{
		dir: dir,
		parse: func(ctx context.Context, data []byte) (signer.Signer, error) {
			return signer.Parse(ctx, data, nil)
		},
		explain: func(err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: %w", signer.ErrNotFound, err)
			}
			return err
		},
		write:  writeNew(0o600),
		remove: os.Remove,
	}
}

// writeNew returns a function that makes a file with its content, in one step.
func writeNew(mode fs.FileMode) func(path string, data []byte) error {
	return func(path string, data []byte) error {
		temp, err := writeTemp(path, data, mode)
		if err != nil {
			return err
		}
		defer os.Remove(temp)
		return os.Link(temp, path)
	}
}

func writeTemp(path string, data []byte, mode fs.FileMode) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".temp-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	return f.Name(), errors.Join(err, f.Chmod(mode), f.Close())
}

func (s *fileStore) path(ctx context.Context, name string) (string, error) {
	if err := signer.CheckName(name, 200); err != nil {
		return "", err
	}
	if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return "", signer.ErrName
	}
	return filepath.Join(s.dir, name), ctx.Err()
}

func (s *fileStore) read(ctx context.Context, name string) ([]byte, error) {
	path, err := s.path(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, s.explain(err)
	}
	return data, nil
}

func (s *fileStore) Open(ctx context.Context, name string) (signer.Signer, error) {
	data, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.parse(ctx, data)
}

func (s *fileStore) Export(ctx context.Context, name string) (crypto.Signer, error) {
	data, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	return signer.ParseRawPrivateKey(ctx, data, nil)
}

func (s *fileStore) Generate(ctx context.Context, name string) (signer.Signer, error) {
	key := newKey()
	if err := s.Import(ctx, name, key); err != nil {
		return nil, err
	}
	return signer.New(key)
}

func (s *fileStore) Import(ctx context.Context, name string, key crypto.Signer) error {
	path, err := s.path(ctx, name)
	if err != nil {
		return err
	}
	if _, err := signer.New(key); err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	if err := s.write(path, pem.EncodeToMemory(block)); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", signer.ErrExists, err)
	} else if err != nil {
		return err
	}
	return nil
}

func (s *fileStore) Delete(ctx context.Context, name string) error {
	path, err := s.path(ctx, name)
	if err != nil {
		return err
	}
	if err := s.remove(path); err != nil {
		return s.explain(err)
	}
	return nil
}

// filing makes stores of files that spoil has changed.
func filing(spoil func(s *fileStore)) func(*testing.T) signertest.Store {
	return func(t *testing.T) signertest.Store {
		s := newFileStore(t.TempDir())
		spoil(s)
		return signertest.Store{Backend: s}
	}
}

func TestFileStore(t *testing.T) {
	signertest.Run(t, filing(func(*fileStore) {}))
}
