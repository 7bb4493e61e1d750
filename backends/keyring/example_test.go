package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/signer"
)

// A desktop application gives its user two minutes to answer a prompt. A job
// without a person leaves PromptTimeout at zero.
func ExampleBackend() {
	keys := &keyring.Backend{PromptTimeout: 2 * time.Minute}

	_, err := keys.Open(context.Background(), "")
	switch {
	case errors.Is(err, signer.ErrNotFound), errors.Is(err, signer.ErrUnavailable):
		fmt.Println("not there: look elsewhere")
	case errors.Is(err, signer.ErrLocked), errors.Is(err, context.DeadlineExceeded):
		fmt.Println("maybe there: a person has to unlock it")
	case err != nil:
		fmt.Println(err)
	}
	// Output: malformed key name: it is empty
}

// The keychain has the passphrase of a key file. The passphrase is read when the
// key first signs.
func ExampleBackend_Passphrase() {
	keychain := &keyring.Backend{}
	keys := signer.Mux{
		"keyring": keychain,
		"file":    &file.Backend{Passphrase: keychain.Passphrase("key-files")},
	}
	_, err := keys.Open(context.Background(), "file:/nowhere/key")
	fmt.Println(errors.Is(err, signer.ErrNotFound))
	// Output: true
}
