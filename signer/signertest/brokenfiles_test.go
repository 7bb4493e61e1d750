package signertest_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/countersign/countersign/signer"
)

func brokenFiles() []broken {
	return []broken{
		{"file for all to read", filing(writing(writeNew(0o644))), "Generate", "has the mode -rw-r--r--"},
		{"file for the group to write", filing(writing(writeNew(0o660))), "Import", "has the mode -rw-rw----"},
		{"file for all, if only to execute", filing(writing(writeNew(0o601))), "Open", "has the mode -rw------x"},
		{"backup for all to read", filing(writing(withBackup)), "Generate", "has the mode -rw-r--r--"},
		{"temporary file after success", filing(writing(keepsTemp)), "Leftovers", "changed the store"},
		{"temporary file after failure of Generate", filing(writing(keepsTempOnError)), "GenerateExisting", "changed the store"},
		{"temporary file after failure of Import", filing(writing(keepsTempOnError)), "ImportExisting", "changed the store"},
		{"temporary file after a lost race", filing(writing(keepsTempOnError)), "GenerateAtOnce", "left files behind"},
		{"one temporary file for all", filing(writing(sameTemp)), "Leftovers", "is still in"},
		{"Delete renames", filing(renamesDeleted), "Leftovers", "changed the store"},
		{"Delete moves into a trash", filing(movesDeleted), "Leftovers", "is still in"},
		{"file is looked for, then written", filing(writing(looksThenWrites)), "GenerateAtOnce", "key"},
		{"file is looked for, then renamed", filing(writing(looksThenRenames)), "ImportAtOnce", "key"},
		{"file is opened, then written", filing(writing(opensThenWrites)), "GenerateAtOnce", "no private key: empty"},
		{"map is looked at, then written", storing(looksThenStores), "GenerateAtOnce", "key"},
	}
}

func writing(write func(path string, data []byte) error) func(*fileStore) {
	return func(s *fileStore) { s.write = write }
}

func withBackup(path string, data []byte) error {
	return errors.Join(writeNew(0o600)(path, data), os.WriteFile(path+".bak", data, 0o644))
}

func keepsTemp(path string, data []byte) error {
	temp, err := writeTemp(path, data, 0o600)
	if err != nil {
		return err
	}
	return os.Link(temp, path)
}

func keepsTempOnError(path string, data []byte) error {
	temp, err := writeTemp(path, data, 0o600)
	if err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return os.Remove(temp)
}

// sameTemp leaves the last key that was made in a second file.
func sameTemp(path string, data []byte) error {
	return errors.Join(writeNew(0o600)(path, data), os.WriteFile(filepath.Join(filepath.Dir(path), ".temp"), data, 0o600))
}

func renamesDeleted(s *fileStore) {
	s.remove = func(path string) error { return os.Rename(path, path+".deleted") }
}

func movesDeleted(s *fileStore) {
	s.remove = func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), ".trash")) }
}

func looksThenWrites(path string, data []byte) error {
	if _, err := os.Stat(path); err == nil {
		return fs.ErrExist
	}
	runtime.Gosched() // no luck is needed on a busy machine
	return os.WriteFile(path, data, 0o600)
}

func looksThenRenames(path string, data []byte) error {
	if _, err := os.Stat(path); err == nil {
		return fs.ErrExist
	}
	runtime.Gosched() // no luck is needed on a busy machine
	temp, err := writeTemp(path, data, 0o600)
	if err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// opensThenWrites never replaces a key, but shows others a file that is not
// complete.
func opensThenWrites(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	runtime.Gosched()
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// looksThenStores locks its map for each step, and not for both together.
func looksThenStores(s *store) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		if _, err := s.Memory.Open(ctx, name); err == nil {
			return nil, signer.ErrExists
		}
		runtime.Gosched()
		k, err := s.Memory.Generate(ctx, name)
		if errors.Is(err, signer.ErrExists) { // too late: it was looked for already
			_ = s.Memory.Delete(ctx, name)
			return s.Memory.Generate(ctx, name)
		}
		return k, err
	}
}
