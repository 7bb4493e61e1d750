// Package conformance checks that a [signer.Backend] keeps the contract of package
// signer. Package signertest runs the checks in Go tests, and the command runs them
// for a person. So this package does not import package testing, which would add
// its flags to the command.
package conformance

import (
	"context"
	"crypto"

	"github.com/countersign/countersign/signer"
)

// TB is the part of *testing.T that the checks use. Error, Errorf and Failed are
// safe for concurrent use.
type TB interface {
	Context() context.Context
	Cleanup(func())
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
	Skipf(format string, args ...any)
	Failed() bool
	Helper()
}

// A Store is the store that one check uses. Package signertest documents the
// fields that its own Store has too.
type Store struct {
	Backend  signer.Backend
	Put      func(t TB, name string, key crypto.Signer)
	Name     func(n int) string
	BadNames []string
	Snapshot func(t TB) []string
	Lacks    []string
	Damage   func(t TB, name string)
	Lock     func(t TB, name string)

	// Dir is the folder in which the suite looks for files; "" for none.
	Dir string

	// Key is the name of a key that the store holds. If it is set, the suite uses
	// this key only, and skips each check that would make, import or delete one.
	Key string
}

// A Check is one part of the suite.
type Check struct {
	Name  string // in one word: "OpenAtOnce"
	About string // for a person, as the object of "checks": "many callers that open keys at once"
	run   func(TB, *store)
}

// Run runs c. It ends the goroutine that calls it, as testing.T.FailNow does, if c
// is skipped or cannot go on.
func (c Check) Run(t TB, s Store) {
	t.Helper()
	st := newStore(s)
	c.run(t, st)
	st.checkSecrets(t)
	st.checkFiles(t)
}

// Checks returns all checks, in the order in which they run.
func Checks() []Check {
	return []Check{
		{"Open", "a key opens under its name, each time as the same key", checkOpen},
		{"OpenAbsent", "a name without a key is \"not found\" and creates nothing", checkAbsent},
		{"OpenAtOnce", "many callers open keys at once", checkOpenAtOnce},
		{"Names", "names that no key can have are refused and not repeated", checkNames},
		{"Context", "a call whose context has ended does nothing", checkContext},
		{"SignEd25519", "signatures of short and long messages are right", checkSign},
		{"SignECDSA", "an ECDSA key signs", checkSignECDSA},
		{"SignRSA", "an RSA key signs", checkSignRSA},
		{"SignAlgorithm", "the key signs with each algorithm that it offers, and with no other", checkSignAlgorithm},
		{"SignChangesNothing", "opening and signing change nothing in the store", checkSignChangesNothing},
		{"SignAtOnce", "many callers sign at once", checkSignAtOnce},
		{"Generate", "a new key is a new Ed25519 key and works", checkGenerate},
		{"GenerateExisting", "a new key replaces no key", checkGenerateExisting},
		{"GenerateAtOnce", "of many callers that make a key of one name, one makes it", checkGenerateAtOnce},
		{"Import", "a key that was made elsewhere is stored", checkImport},
		{"ImportExisting", "an imported key replaces no key", checkImportExisting},
		{"ImportUnfit", "a key that cannot be stored is refused", checkImportUnfit},
		{"ImportAtOnce", "of many callers that import under one name, one succeeds", checkImportAtOnce},
		{"Export", "the private key comes back as it was stored", checkExport},
		{"List", "the list has all keys, sorted by name", checkList},
		{"Probe", "the state of a key is told, and nothing changes", checkProbe},
		{"Delete", "a deleted key is gone, and no other key", checkDelete},
		{"Replace", "a new key of a deleted name is another key", checkReplace},
		{"Leftovers", "a deleted key leaves nothing behind", checkLeftovers},
		{"Damaged", "a damaged key is not \"not found\" and is not replaced", checkDamaged},
		{"Locked", "a locked key is not \"not found\" and is not replaced", checkLocked},
	}
}
