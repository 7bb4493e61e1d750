package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/signer"
)

func (a *app) keyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, show and move keys",
		Args:  subcommand,
		RunE:  help,
	}
	cmd.AddCommand(
		a.printsKey(a.keyGenerateCmd()), a.printsKey(a.keyShowCmd()), a.keyListCmd(),
		a.printsKey(a.keyImportCmd()), a.keyExportCmd(), a.printsKey(a.keyCopyCmd()), a.keyDeleteCmd(), a.keyPassphraseCmd(),
	)
	return cmd
}

// able finds the backend of ref and asserts what it has to be able to do. The
// error for one that cannot names those that can, and not the key: the name may
// be one itself, put in its place by a shell.
func able[T any](m signer.Mux, op, ref string) (backend T, name string, err error) {
	b, name, err := m.Resolve(ref)
	if err != nil {
		return backend, "", &signer.Error{Op: op, Err: err}
	}
	if backend, ok := b.(T); ok {
		return backend, name, nil
	}
	var can []string
	for _, scheme := range slices.Sorted(maps.Keys(m)) {
		if _, ok := m[scheme].(T); ok {
			can = append(can, scheme+":")
		}
	}
	scheme, _, _ := strings.Cut(ref, ":")
	err = fmt.Errorf("%w there, but by %s", signer.ErrUnsupported, strings.Join(can, " and "))
	return backend, "", &signer.Error{Op: op, Ref: scheme + ":", Err: err}
}
