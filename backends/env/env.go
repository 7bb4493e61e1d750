// Package env opens private keys that an environment variable holds or points
// to, for programs that nobody watches: containers, CI jobs, daemons.
//
// The key NAME is looked for in this order:
//
//  1. the variable NAME;
//  2. the file whose absolute path is in the variable NAME_FILE, as Docker's
//     and Kubernetes' images have it; NAME and NAME_FILE together are an error;
//  3. the file NAME in $CREDENTIALS_DIRECTORY, where systemd puts credentials.
//
// Each may hold the key in any form that survives being pasted: OpenSSH or
// other PEM; PEM with \n written as two characters, with CRLF, indented, or
// with its line breaks lost or turned into spaces; base64 of PEM; an Ed25519
// seed of 32 bytes in base64 or hex, with or without its 32 bytes of public
// key; all that in quotes too. A bare public key of 32 bytes cannot be told
// from a seed.
//
// The passphrase of an encrypted key is NAME_PASSPHRASE, found in the same
// three ways; one newline at the end of a file is not part of it.
//
// The mode of those files is not checked: orchestrators mount secrets readable
// by every user of a container. For a key in a home directory use package file.
package env

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

// A Backend opens the key that the environment variable of that name holds or
// points to. The zero value is ready. It is safe for concurrent use and must
// not be copied after first use.
type Backend struct {
	// Passphrase is asked when the key has a passphrase and NAME_PASSPHRASE is
	// nowhere to be found. Nil: nobody can answer.
	Passphrase signer.PassphraseFunc

	// Unset removes NAME and NAME_PASSPHRASE from the environment when they are
	// read, whether or not they hold a key, so that child processes started
	// later do not inherit them. The Backend remembers them and opens the key
	// again; another Backend does not find them. A variable set anew is read
	// anew. NAME_FILE stays: it is a path.
	//
	// A child that starts before the key is opened still inherits them: package
	// keyring, for example, runs pass, and that runs gpg. [Backend.Capture]
	// removes them at a time that the program chooses.
	//
	// It does not erase the environment that the process was started with, which
	// the system goes on showing to the same user and to root
	// (/proc/PID/environ on Linux). Mount a file where that matters.
	Unset bool

	mu    sync.Mutex
	taken map[string]func() string // values of removed variables
}

var (
	_ signer.Backend  = (*Backend)(nil)
	_ signer.Exporter = (*Backend)(nil)
)

// Open reads the key called name. A signer whose key came from a file is a
// [signer.Staler]: it notices when a secret is rotated. One from a variable is
// never stale.
//
// Errors: ErrNotFound if there is neither variable nor credential. An empty
// variable is as good as none, because CI systems set it so where a secret is
// missing. A key that is there and cannot be used is another error, so that
// [signer.First] never takes a weaker key unasked: an empty file, a NAME_FILE that
// points to nothing, a damaged key. ErrName; ErrLocked, ErrDenied and ErrUnsupported as
// [signer.Parse] has them; ErrDenied for a file that may not be read.
func (b *Backend) Open(ctx context.Context, name string) (signer.Signer, error) {
	s, o, err := open(ctx, b, name, signer.Parse)
	if err != nil {
		return nil, err
	}
	return &key{s, o}, nil
}

// Export returns the private key called name, asking for its passphrase at
// once. Its errors are those of Open.
func (b *Backend) Export(ctx context.Context, name string) (crypto.Signer, error) {
	k, _, err := open(ctx, b, name, signer.ParseRawPrivateKey)
	return k, err
}

// HasPassphrase reports whether the key called name is encrypted. It asks nobody. Its
// errors are those of Open.
func (b *Backend) HasPassphrase(ctx context.Context, name string) (bool, error) {
	asked := false
	_, _, err := open(ctx, b, name, func(ctx context.Context, pem []byte, _ signer.PassphraseFunc) (crypto.Signer, error) {
		return signer.ParseRawPrivateKey(ctx, pem, func(context.Context, string) ([]byte, error) {
			asked = true
			return nil, signer.ErrDenied
		})
	})
	if asked {
		return true, nil
	}
	return false, err
}

// open finds and parses the key called name.
func open[T any](ctx context.Context, b *Backend, name string, parse func(context.Context, []byte, signer.PassphraseFunc) (T, error)) (k T, o origin, err error) {
	if err := ctx.Err(); err != nil {
		return k, o, err
	}
	if err := checkName(name); err != nil {
		return k, o, err
	}
	passName := passphraseOf(name)
	src, err := b.find(name, skipEmpty)
	pass, passErr := b.find(passName, takeEmpty) // also if there is no key, because Unset removes both
	ask := pass.answer
	if errors.Is(passErr, signer.ErrNotFound) {
		ask, passErr = b.Passphrase, nil
	}
	if err := cmp.Or(err, passErr); err != nil {
		return k, o, err
	}
	o = origin{from: src.from, passName: passName, passFrom: pass.from, stale: src.stale}

	text := src.text()
	if isPath(text) {
		return k, o, pathError(src.from, name)
	}
	pem, err := decode(text)
	if err != nil {
		if looksLikePath(string(text)) {
			return k, o, pathError(src.from, name)
		}
		return k, o, fmt.Errorf("%s: %w", src.from, keyfile.Explain(text, err))
	}
	k, err = parse(ctx, pem, ask)
	if err != nil {
		err = keyfile.Explain(pem, err)
	}
	return k, o, o.explain(err)
}
