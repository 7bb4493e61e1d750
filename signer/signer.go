// Package signer is the contract between programs that need a signature and
// stores that hold the key.
//
// A [Signer] signs with one private key. A [Backend] opens the keys of one
// store: a key file, the operating system's keychain, an environment variable.
// A [Mux] chooses the backend from a reference such as "env:OLLAMA_KEY". [First]
// takes the first of several references whose key is there. A [Keeper] opens
// each key once.
//
// Private keys are in functions and never in the fields of a struct, so that
// nothing that prints a value prints a key. The package does not wipe keys and
// passphrases from memory: the standard library and golang.org/x/crypto copy
// them while they parse and sign, and no program can wipe those copies. A key is
// as safe as the memory of the process.
//
// The package depends on the standard library and golang.org/x/crypto only.
package signer

import (
	"context"
	"crypto"

	"golang.org/x/crypto/ssh"
)

// A Signer signs with one private key and never reveals it. It is that key for
// life: PublicKey never changes, so a signature and the key named beside it
// always belong together. It is safe for concurrent use.
type Signer interface {
	// PublicKey neither blocks nor prompts: opening the key learned it.
	PublicKey() ssh.PublicKey

	// Sign signs the whole message, never a digest of it, and gives up when
	// ctx ends, with an error that wraps ctx's. It may prompt the user once to
	// unlock the key (ErrLocked when nobody can answer or [MayPrompt] reports
	// false, ErrDenied when the answer is no or wrong). It writes and creates
	// nothing.
	Sign(ctx context.Context, msg []byte) (*ssh.Signature, error)
}

// A Backend opens the keys of one store. A backend that can do more also
// implements [Generator], [Importer], [Exporter], [Lister] or [Deleter]. A
// program asserts these on the concrete backend, which [Mux.Resolve] returns. A
// Backend is safe for concurrent use.
type Backend interface {
	// Open finds the key of that name and learns its public half. It creates
	// nothing. Errors: ErrNotFound, ErrUnavailable, ErrLocked, ErrDenied,
	// ErrInsecure, ErrUnsupported, ErrName, or ctx's. Any other error means that
	// the key is there and damaged.
	Open(ctx context.Context, name string) (Signer, error)
}

// OpenFunc is a function that is a [Backend].
type OpenFunc func(ctx context.Context, name string) (Signer, error)

// Open calls f.
func (f OpenFunc) Open(ctx context.Context, name string) (Signer, error) { return f(ctx, name) }

// A Generator makes a new Ed25519 key inside its store. A key of that name is
// never replaced: ErrExists.
type Generator interface {
	Generate(ctx context.Context, name string) (Signer, error)
}

// An Importer stores a key made elsewhere. A key of that name is never
// replaced: ErrExists.
type Importer interface {
	Import(ctx context.Context, name string, key crypto.Signer) error
}

// An Exporter hands out the private key itself.
type Exporter interface {
	Export(ctx context.Context, name string) (crypto.Signer, error)
}

// A Lister names the keys in its store, sorted by name, without prompting. If it
// cannot read a part of the store, List returns the names of the rest together with
// the error, as [io.Reader] returns bytes together with one. Errors: ErrUnavailable,
// ErrLocked, ErrDenied, or ctx's.
type Lister interface {
	List(ctx context.Context) ([]Info, error)
}

// A Deleter removes a key from its store for good. ErrNotFound if there is none.
type Deleter interface {
	Delete(ctx context.Context, name string) error
}

// A Prober tells the state of a key without opening it, for an app that shows the state.
type Prober interface {
	// Probe returns nil if Open would open the key without asking a person, and else the
	// error of an Open that may ask nobody: ErrLocked if a person must unlock it. It never
	// prompts. The version changes when another key gets the name; "" means that the store
	// cannot tell. ErrUnsupported: use Open instead.
	Probe(ctx context.Context, name string) (version string, err error)
}

// A Forgetter is a Backend that keeps opened keys. After Forget, the Signers of that name
// that it handed out are stale, and Open asks the store again.
type Forgetter interface {
	Forget(name string)
}

// Info describes a stored key without opening it.
type Info struct {
	Name      string        // the name for Open
	PublicKey ssh.PublicKey // nil if only the unlocked key knows it
	Comment   string        // as the store has it, often empty
}

// A PassphraseFunc asks for the passphrase that prompt describes and gives up
// when ctx ends. A nil PassphraseFunc means that nobody can answer. The caller
// of the function does not change the result.
type PassphraseFunc func(ctx context.Context, prompt string) ([]byte, error)

// A Staler is a Signer that notices when its store no longer has its key under
// its name. It goes on signing with its own key. A program that keeps Signers
// opens the name again; [Keeper] does so.
type Staler interface {
	// Stale is cheap enough to ask before every signature.
	Stale() bool
}

// A Locker is a Signer that has to ask a person before its first signature, such as a
// key file with a passphrase.
type Locker interface {
	// Locked reports whether the next signature asks a person. It does not block.
	Locked() bool
}

// IsLocked reports whether s is a [Locker] and locked. A Signer that wraps s implements
// Locker with it.
func IsLocked(s Signer) bool {
	locker, ok := s.(Locker)
	return ok && locker.Locked()
}

// IsStale reports whether s is a [Staler] and stale. A Signer that wraps s
// implements Staler with it.
func IsStale(s Signer) bool {
	staler, ok := s.(Staler)
	return ok && staler.Stale()
}
