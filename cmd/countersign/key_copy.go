package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/signer"
)

func (a *app) keyCopyCmd() *cobra.Command {
	var deleteSource, yes bool
	var flags keyFileFlags
	cmd := &cobra.Command{
		Use:        "copy FROM TO",
		SuggestFor: []string{"cp", "mv", "move"},
		Short:      "Copy a key from one store to another",
		Long: `Copy the key FROM to the name TO, in the same store or in another. The copy is
read back and tried before its public half is printed. Another key that is there
already is left as it is. A key file with a passphrase that is copied into a file
keeps its passphrase, unless a flag gives another one.

With --delete-source, FROM is deleted once the copy has been tried. Nothing is done
if TO is in a store that forgets its keys at a reboot.`,
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
	_, _, err = a.writeCopy(ctx, keys, from, to, flags)
	return err
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
	if err := checkLasting(ctx, keys, to); err != nil {
		return withSourceKept(err, from)
	}
	target, pub, err := a.writeCopy(ctx, keys, from, to, flags)
	if err != nil {
		return err
	}
	if err := signTest(ctx, target.fresh, to, pub); err != nil { // the copy may be an older one
		return fmt.Errorf("%s did not pass its test, and %s was kept: %w", to, from, err)
	}
	err = a.confirm(ctx, yes, fmt.Sprintf("%s holds the key %s now. Delete %s?", to, ssh.FingerprintSHA256(pub), from))
	if err == nil { // another key may have replaced the source while the person read the question
		_, err = openAndCompare(ctx, withEmptyCache(keys), from, pub)
	}
	if err == nil {
		err = source.Delete(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("%w; the copy is good, and the source was kept", signer.Wrap("delete", from, err))
	}
	return nil
}

// writeCopy copies the key from to the name to, and prints and returns its public key.
func (a *app) writeCopy(ctx context.Context, keys backends.Set, from, to string, flags *keyFileFlags) (target, ssh.PublicKey, error) {
	t, pub, written, err := a.transfer(ctx, keys, from, to, flags)
	if err != nil {
		return target{}, nil, err
	}
	return t, pub, a.printWritten(t, pub, written)
}

// transfer copies the key from to the name to. It reports whether it wrote a key: the
// same key may have been there.
func (a *app) transfer(ctx context.Context, keys backends.Set, from, to string, flags *keyFileFlags) (t target, pub ssh.PublicKey, written bool, err error) {
	if isSamePlace(keys, from, to) {
		return t, nil, false, usageError{errors.New("source and target are the same key")}
	}
	if t, err = a.targetFor(keys, to, flags); err != nil {
		return t, nil, false, err
	}
	source, name, err := backendFor[signer.Exporter](keys, "export", from)
	if err != nil {
		return t, nil, false, err
	}
	if err := checkOpenCopy(ctx, source, name, t, from); err != nil {
		return t, nil, false, err
	}
	var unlockedWith func() []byte
	keys.File.Passphrase, unlockedWith = remember(keys.File.Passphrase)
	key, err := source.Export(ctx, name)
	if err != nil {
		return t, nil, false, signer.Wrap("export", from, err)
	}
	t.keepLocked(unlockedWith)
	if pub, written, err = t.write(ctx, key); err != nil {
		return t, nil, written, withSourceKept(err, from)
	}
	return t, pub, written, nil
}

// withSourceKept adds to the hint of err that the key from was not changed.
func withSourceKept(err error, from string) error {
	hint, _ := signer.HintOf(err)
	hint.Do = strings.TrimPrefix(hint.Do+"; "+from+" was not changed", "; ")
	return signer.WithHint(err, hint)
}

// isSamePlace reports whether two references name one place: the copy of a key there
// would be the key itself. A file may have several names.
func isSamePlace(keys backends.Set, x, y string) bool {
	xName, xIsFile := strings.CutPrefix(x, "file:")
	yName, yIsFile := strings.CutPrefix(y, "file:")
	if !xIsFile || !yIsFile {
		return x == y
	}
	var infos [2]os.FileInfo
	for i, name := range []string{xName, yName} {
		path, err := keys.File.Path(name)
		if err != nil {
			return x == y
		}
		if infos[i], err = os.Stat(path); err != nil {
			return x == y
		}
	}
	return os.SameFile(infos[0], infos[1])
}

// checkLasting refuses to delete a key whose copy would be forgotten.
func checkLasting(ctx context.Context, keys backends.Set, to string) error {
	store, _, err := backendFor[signer.Importer](keys, "import", to)
	if err != nil {
		return err
	}
	volatile, ok := store.(interface {
		IsVolatile(ctx context.Context) (bool, error)
	})
	if !ok {
		return nil
	}
	forgets, err := volatile.IsVolatile(ctx)
	if err != nil || !forgets {
		return signer.Wrap("import", to, err)
	}
	err = usageError{fmt.Errorf("%s would be in a store that forgets its keys at a reboot, so nothing was copied", to)}
	return signer.WithHint(err, signer.Hint{Do: "copy it without --delete-source"})
}

// checkOpenCopy refuses to write the key of a variable that has a passphrase into a
// file without one. A key file keeps its own: target.keepLocked.
func checkOpenCopy(ctx context.Context, source signer.Exporter, name string, to target, from string) error {
	variables, ok := source.(*env.Backend)
	if !ok || !to.isOpenFile() {
		return nil
	}
	locked, err := variables.HasPassphrase(ctx, name)
	if err != nil || !locked {
		return signer.Wrap("export", from, err)
	}
	err = usageError{fmt.Errorf("%s has a passphrase, and %s would have none", from, to.ref)}
	return signer.WithHint(err, signer.Hint{Do: "give --new-passphrase or --new-passphrase-file FILE", See: "keys#passphrases"})
}
