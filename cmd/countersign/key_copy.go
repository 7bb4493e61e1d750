package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyCopyCmd() *cobra.Command {
	var deleteSource, yes bool
	var flags keyFileFlags
	cmd := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy a key from one store to another",
		Long: `Copy the key FROM to the name TO, in the same store or in another. The copy is
read back and tried before its public half is printed. A key that is there already
is left as it is.

With --delete-source, FROM is deleted once the copy has been tried.`,
		Example: "  countersign key copy file:~/.ollama/id_ed25519 keyring:ollama",
		Args:    checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if deleteSource {
				return a.moveKey(cmd.Context(), args[0], args[1], &flags, yes)
			}
			return a.copyKey(cmd.Context(), args[0], args[1], &flags)
		},
	}
	cmd.Flags().BoolVar(&deleteSource, "delete-source", false, "delete FROM once the copy has been tried; asks first")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	flags.add(a, cmd)
	return cmd
}

func (a *app) copyKey(ctx context.Context, from, to string, flags *keyFileFlags) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	pub, err := a.writeCopy(ctx, keys, from, to, flags)
	if err != nil {
		return err
	}
	return a.printKey(pub)
}

// moveKey makes sure that it may delete the source before it copies anything.
func (a *app) moveKey(ctx context.Context, from, to string, flags *keyFileFlags, yes bool) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	source, name, err := backendFor[signer.Deleter](keys, "delete", from)
	if err != nil {
		return err
	}
	if err := a.checkConfirm(yes); err != nil {
		return err
	}
	pub, err := a.writeCopy(ctx, keys, from, to, flags)
	if err != nil {
		return err
	}
	if err := a.printKey(pub); err != nil {
		return err
	}
	err = a.confirm(ctx, yes, fmt.Sprintf("%s holds the key %s now. Delete %s?", to, ssh.FingerprintSHA256(pub), from))
	if err == nil { // another key may have replaced the source while the person read the question
		_, err = openSame(ctx, withEmptyCache(keys), from, pub)
	}
	if err == nil {
		err = source.Delete(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("%w; the copy is good, and the source was kept", signer.Wrap("delete", from, err))
	}
	return nil
}

// writeCopy copies the key from to the name to, and returns its public key.
func (a *app) writeCopy(ctx context.Context, keys backends.Set, from, to string, flags *keyFileFlags) (ssh.PublicKey, error) {
	if from == to {
		return nil, usageError{errors.New("source and target are the same key")}
	}
	target, err := a.targetFor(keys, to, flags)
	if err != nil {
		return nil, err
	}
	source, name, err := backendFor[signer.Exporter](keys, "export", from)
	if err != nil {
		return nil, err
	}
	key, err := source.Export(ctx, name)
	if err != nil {
		return nil, signer.Wrap("export", from, err)
	}
	pub, err := target.write(ctx, key)
	if err != nil {
		hint, _ := signer.HintOf(err)
		hint.Do = strings.TrimPrefix(hint.Do+"; "+from+" was not changed", "; ")
		return nil, signer.WithHint(err, hint)
	}
	return pub, nil
}
