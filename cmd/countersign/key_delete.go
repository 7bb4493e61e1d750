package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyDeleteCmd() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:        "delete REF",
		SuggestFor: []string{"rm", "remove", "del", "erase", "destroy", "unlink"},
		Short:      "Delete a key for good",
		Example:    "  countersign key delete keyring:ollama",
		Args:       checkArguments,
		RunE:       func(cmd *cobra.Command, args []string) error { return a.deleteKey(cmd.Context(), args[0], yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) deleteKey(ctx context.Context, ref string, yes bool) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	store, name, err := backendFor[signer.Deleter](keys, "delete", ref)
	if err != nil {
		return err
	}
	question, err := deleteQuestion(ctx, a.quietBackends(), ref)
	if err == nil {
		err = a.confirm(ctx, yes, question)
	}
	if err == nil {
		err = store.Delete(ctx, name)
	}
	return signer.Wrap("delete", ref, err)
}

// deleteQuestion names the key if that is possible without a prompt.
func deleteQuestion(ctx context.Context, quiet backends.Set, ref string) (string, error) {
	key, err := quiet.Open(ctx, ref)
	switch e := (*signer.Error)(nil); {
	case err == nil:
		return fmt.Sprintf("Delete %s, the key %s, for good?", ref, ssh.FingerprintSHA256(key.PublicKey())), nil
	case errors.Is(err, signer.ErrNotFound), errors.Is(err, signer.ErrName):
		errors.As(err, &e)
		return "", e.Err
	}
	return fmt.Sprintf("Delete %s for good?", ref), nil
}
