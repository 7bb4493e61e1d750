package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
)

// keyFileFlags are the flags for a new key file. Other stores protect a key in
// their own way.
type keyFileFlags struct {
	comment string
	prompt  bool
	source  secretSource
}

func (f *keyFileFlags) add(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.comment, "comment", "", "write this `TEXT` into the key file")
	cmd.Flags().BoolVar(&f.prompt, "new-passphrase", false, "encrypt the key file with a passphrase, asked for on the terminal")
	f.source.addFlags(a, cmd.Flags(), "new-passphrase", "the passphrase for a new key file")
}

func (f *keyFileFlags) isGiven() bool { return f.comment != "" || f.prompt || f.source.read != nil }

// passphrase returns the function that yields the new passphrase, or nil for none.
// It reads a passphrase file at once, so that a bad file ends the command before
// it does anything.
func (f *keyFileFlags) passphrase(a *app) (signer.PassphraseFunc, error) {
	switch {
	case f.prompt && f.source.read != nil:
		return nil, usageError{errors.New("the new passphrase comes from one place: give one of the flags")}
	case f.prompt && !a.terminal.IsPresent():
		return nil, usageError{errors.New("no terminal to ask on: give --new-passphrase-file or --new-passphrase-fd")}
	case f.prompt:
		return askOnce(a.terminal.AskNewHidden), nil
	case f.source.read != nil:
		_, err := f.source.read()
		return f.source.answer, err
	}
	return nil, nil
}

// withKeyFileFlags returns keys with a file backend that writes keys as f says,
// and can open those keys.
func (a *app) withKeyFileFlags(keys backends.Set, f *keyFileFlags) (backends.Set, error) {
	passphrase, err := f.passphrase(a)
	if err != nil {
		return backends.Set{}, err
	}
	files := *keys.File
	files.Comment, files.NewPassphrase = f.comment, passphrase
	if passphrase != nil {
		files.Passphrase = passphrase
	}
	keys.File = &files
	return keys, nil
}

// check refuses flags that store would ignore.
func (f *keyFileFlags) check(store any) error {
	if _, ok := store.(*file.Backend); ok || !f.isGiven() {
		return nil
	}
	return usageError{errors.New("a passphrase and a comment are for file: only; this store protects keys in its own way")}
}
