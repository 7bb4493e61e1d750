// Package signertest checks that a [signer.Backend] keeps the contract of
// package signer. A backend's test runs all of it:
//
//	func TestBackend(t *testing.T) {
//		signertest.Run(t, func(t *testing.T) signertest.Store {
//			dir := t.TempDir()
//			return signertest.Store{
//				Backend: &file.Backend{},
//				Name:    func(n int) string { return filepath.Join(dir, strconv.Itoa(n)) },
//			}
//		})
//	}
//
// Run it against the real store, not only against a fake. [Memory] is a fake for
// tests of code that uses a backend.
package signertest

import (
	"crypto"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/countersign/countersign/internal/conformance"
	"github.com/countersign/countersign/signer"
)

// A Store is the store that one subtest uses. It may hold other keys already.
type Store struct {
	Backend signer.Backend

	// Put stores key under name. It skips the test if the store cannot hold
	// this kind of key; each store holds Ed25519. If Put is nil, the suite
	// imports keys, and skips those for which Import says ErrUnsupported. If the
	// backend is no Importer either, the suite generates keys and skips the checks
	// that need a key of its own choice.
	Put func(t *testing.T, name string, key crypto.Signer)

	// Name returns the n-th name that is valid in the store and not in use. The
	// suite deletes the keys that it stored if the backend is a Deleter. If Name
	// is nil, names have letters, digits and hyphens.
	Name func(n int) string

	// BadNames must be refused with ErrName, besides those that no store has:
	// the empty name, one with control characters, a pasted key. The suite looks
	// for names of eight bytes and more in the error.
	BadNames []string

	// Lacks names the optional interfaces whose methods the backend has although
	// the store cannot do it, such as "Generator" or "Lister". The suite does not
	// use them.
	Lacks []string

	// Snapshot describes all that the store holds, one thing a line. The suite
	// compares snapshots to find changes. If Snapshot is nil, the suite uses List
	// if the backend is a Lister.
	Snapshot func(t *testing.T) []string

	// Dir is the folder in which the store keeps its files, if it has any. The
	// suite looks there for private keys that other users can read, for files
	// that are left behind, and for the file of a key that it damages or locks.
	// If Dir is "", the suite looks into all folders that t.TempDir made, except
	// on Windows.
	Dir string

	// Damage makes the key called name unusable, as a bad copy does. If it is
	// nil, the suite damages the file of the key, and skips the check if there is
	// none.
	Damage func(t *testing.T, name string)

	// Lock locks the key called name, so that only a passphrase or a prompt
	// unlocks it. If it is nil, the suite encrypts the file of the key, and skips
	// the check if there is none or if it is not PEM.
	Lock func(t *testing.T, name string)
}

// Run runs the suite in subtests of t, each against a Store of its own. They do
// not run in parallel, so open and Put may call t.Setenv. A subtest for an
// ability that the backend lacks is skipped.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range conformance.Checks() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, open(t).forChecks(t)) })
	}
}

// forChecks returns s as the checks take it, for the subtest t.
func (s Store) forChecks(t *testing.T) conformance.Store {
	checked := conformance.Store{
		Backend: s.Backend, Name: s.Name, BadNames: s.BadNames, Lacks: s.Lacks, Dir: folderOfFiles(t, s),
	}
	if s.Put != nil {
		checked.Put = func(_ conformance.TB, name string, key crypto.Signer) { s.Put(t, name, key) }
	}
	if s.Snapshot != nil {
		checked.Snapshot = func(conformance.TB) []string { return s.Snapshot(t) }
	}
	if s.Damage != nil {
		checked.Damage = func(_ conformance.TB, name string) { s.Damage(t, name) }
	}
	if s.Lock != nil {
		checked.Lock = func(_ conformance.TB, name string) { s.Lock(t, name) }
	}
	return checked
}

// folderOfFiles returns the folder in which the suite looks for the files of a
// store: s.Dir, or else the folder around all folders that t.TempDir makes.
func folderOfFiles(t *testing.T, s Store) string {
	t.Helper()
	if s.Dir != "" || runtime.GOOS == "windows" {
		return s.Dir
	}
	all := filepath.Dir(t.TempDir())
	if all == filepath.Clean(os.TempDir()) {
		return "" // it holds the files of all programs
	}
	return all
}
