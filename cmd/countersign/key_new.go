package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// newKeyFlags say how a key is to be written into a file. Other stores protect a
// key in their own way.
type newKeyFlags struct {
	comment string
	prompt  bool
	source  secretSource
}

func (f *newKeyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.comment, "comment", "", "write this `TEXT` into the key file")
	cmd.Flags().BoolVar(&f.prompt, "new-passphrase", false, "encrypt the key file with a passphrase, asked for on the terminal")
	f.source.addFlags(cmd.Flags(), "new-passphrase", "the passphrase for a new key file")
}

func (f *newKeyFlags) given() bool { return f.comment != "" || f.prompt || f.source.read != nil }

// passphrase returns what yields the new passphrase, or nil for none. It reads a
// file at once: nothing is begun without it.
func (f *newKeyFlags) passphrase(a *app) (signer.PassphraseFunc, error) {
	switch {
	case f.prompt && f.source.read != nil:
		return nil, usageError{errors.New("the new passphrase comes from one place: give one of the flags")}
	case f.prompt && !a.hasTerminal():
		return nil, usageError{errors.New("no terminal to ask on: give --new-passphrase-file or --new-passphrase-fd")}
	case f.prompt:
		return once(a.askNew), nil
	case f.source.read != nil:
		_, err := f.source.read()
		return f.source.answer, err
	}
	return nil, nil
}

// writing returns backends that write keys as f says, and others that have never
// seen those keys and can open them.
func (a *app) writing(c *config.Config, f *newKeyFlags) (m, fresh signer.Mux, err error) {
	passphrase, err := f.passphrase(a)
	if err != nil {
		return nil, nil, err
	}
	m, fresh = a.backends(c), a.backends(c)
	files := m["file"].(*file.Backend)
	files.Comment, files.NewPassphrase = f.comment, passphrase
	if passphrase != nil {
		fresh["file"].(*file.Backend).Passphrase = passphrase
	}
	return m, fresh, nil
}

// check refuses what a store would have to ignore.
func (f *newKeyFlags) check(store any) error {
	if _, ok := store.(*file.Backend); ok || !f.given() {
		return nil
	}
	return usageError{errors.New("a passphrase and a comment are for file: only; this store protects keys in its own way")}
}
