package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/internal/spelling"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, show and move keys",
		Args:  subcommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(
		a.printsKey(a.keyGenerateCmd()), a.printsKey(a.keyShowCmd()), a.keyListCmd(),
		a.printsKey(a.keyImportCmd()), a.keyExportCmd(), a.printsKey(a.keyCopyCmd()), a.keyDeleteCmd(), a.keyRotateCmd(), a.keyPassphraseCmd(),
	)
	return cmd
}

// backendFor returns the backend of ref as a T, and the name of the key in it. If
// the backend is no T, the error lists the backends that are. It does not repeat
// the name: that may be a key itself, if a shell has put it there.
func backendFor[T any](keys backends.Set, op, ref string) (backend T, name string, err error) {
	m := keys.Mux()
	b, name, err := m.Resolve(ref)
	if err != nil {
		return backend, "", spelling.WithSchemeHint(&signer.Error{Op: op, Err: err}, ref)
	}
	if backend, ok := b.(T); ok {
		return backend, name, nil
	}
	var able []string
	for _, scheme := range slices.Sorted(maps.Keys(m)) {
		if _, ok := m[scheme].(T); ok {
			able = append(able, scheme+":")
		}
	}
	scheme, _, _ := strings.Cut(ref, ":")
	err = fmt.Errorf("%w: only %s can do that", signer.ErrUnsupported, enumerate(able))
	return backend, "", &signer.Error{Op: op, Ref: scheme + ":", Err: err}
}

// enumerate returns "a", "a and b" or "a, b and c".
func enumerate(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func (a *app) keyShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:        "show [REF]",
		SuggestFor: []string{"print", "cat", "view", "fingerprint", "pubkey", "public"},
		Short:      "Print the fingerprint and the public half of a key",
		Long:       "Print the fingerprint and the public half of the key REF, or of the one that would be used.",
		Args:       checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && a.key != "" {
				return usageError{errors.New("give the key as REF or with --key, not both")}
			}
			open := a.open
			if len(args) == 1 {
				open = func(ctx context.Context) (signer.Signer, error) { return a.openRef(ctx, args[0]) }
			}
			key, err := open(cmd.Context())
			if err != nil {
				return err
			}
			return a.printKey(key.PublicKey())
		},
	}
}

// openRef opens the key ref.
func (a *app) openRef(ctx context.Context, ref string) (signer.Signer, error) {
	_, keys, err := a.load()
	if err != nil {
		return nil, err
	}
	key, err := keys.Open(ctx, ref)
	return key, spelling.WithSchemeHint(err, ref)
}
