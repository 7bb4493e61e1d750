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
	"testing"

	"github.com/countersign/countersign/signer"
)

// A Store is the store that one subtest uses. It may hold other keys already.
type Store struct {
	Backend signer.Backend

	// Put stores key under name. It skips the test if the store cannot hold
	// this kind of key; each store holds Ed25519. If Put is nil, the suite
	// imports keys, and skips those for which Import says ErrUnsupported.
	Put func(t *testing.T, name string, key crypto.Signer)

	// Name returns the n-th name that is valid in the store and not in use. The
	// suite deletes the keys that it stored if the backend is a Deleter. If Name
	// is nil, names have letters, digits and hyphens.
	Name func(n int) string

	// BadNames must be refused with ErrName, besides those that no store has:
	// the empty name, one with control characters, a pasted key. The suite looks
	// for names of eight bytes and more in the error.
	BadNames []string

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
	checks := []struct {
		name string
		run  func(*testing.T, *store)
	}{
		{"Open", checkOpen},
		{"OpenAbsent", checkAbsent},
		{"OpenAtOnce", checkOpenAtOnce},
		{"Names", checkNames},
		{"Context", checkContext},
		{"SignEd25519", checkSignEd25519},
		{"SignECDSA", checkSignECDSA},
		{"SignRSA", checkSignRSA},
		{"SignAlgorithm", checkSignAlgorithm},
		{"SignChangesNothing", checkSignChangesNothing},
		{"SignAtOnce", checkSignAtOnce},
		{"Generate", checkGenerate},
		{"GenerateExisting", checkGenerateExisting},
		{"GenerateAtOnce", checkGenerateAtOnce},
		{"Import", checkImport},
		{"ImportExisting", checkImportExisting},
		{"ImportUnfit", checkImportUnfit},
		{"ImportAtOnce", checkImportAtOnce},
		{"Export", checkExport},
		{"List", checkList},
		{"Delete", checkDelete},
		{"Replace", checkReplace},
		{"Leftovers", checkLeftovers},
		{"Damaged", checkDamaged},
		{"Locked", checkLocked},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t, open(t))
			c.run(t, s)
			s.checkSecrets(t)
			s.checkFiles(t)
		})
	}
}
