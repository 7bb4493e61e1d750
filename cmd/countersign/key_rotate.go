package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/keylock"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// rotateFlags are the flags of key rotate.
type rotateFlags struct {
	server                                        string
	noBrowser, prepare, noConnect, deleteOld, yes bool
}

func (a *app) keyRotateCmd() *cobra.Command {
	var flags rotateFlags
	cmd := &cobra.Command{
		Use:        "rotate REF",
		SuggestFor: []string{"renew", "replace", "roll", "change"},
		Short:      "Replace a key by a new one, and keep the old key until told",
		Long: `Make a new key beside the key REF, connect it to your account as "countersign
connect" does, and give it the name REF. The old key is kept as REF.old, so that
nothing is lost. Until the server accepts the new key, which is called REF.new, REF
is not changed. A key file with a passphrase gives its passphrase to the new one.

If the command is interrupted at any point, run it again: it goes on where it was.

For servers without a sign-in page, --prepare makes the new key and prints its
public half. Tell it to your servers, and run the command again with --no-connect.

When nothing uses the old key any more, --delete-old removes it from the account and
deletes it.`,
		Example: "  countersign key rotate keyring:ollama\n  countersign key rotate --delete-old keyring:ollama",
		Args:    checkArguments,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.rotateKey(cmd.Context(), args[0], &flags) },
	}
	cmd.Flags().StringVar(&flags.server, "server", signInServer, "the `URL` of the server that has the account")
	cmd.Flags().BoolVar(&flags.noBrowser, "no-browser", false, "open no browser")
	cmd.Flags().BoolVar(&flags.prepare, "prepare", false, "make the new key and print its public half, and do nothing else")
	cmd.Flags().BoolVar(&flags.noConnect, "no-connect", false, "ask no server: the servers know the new key, or need not forget the old key")
	cmd.Flags().BoolVar(&flags.deleteOld, "delete-old", false, "delete the key that was replaced; asks first")
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "do not ask")
	cmd.MarkFlagsMutuallyExclusive("prepare", "no-connect")
	cmd.MarkFlagsMutuallyExclusive("prepare", "delete-old")
	return cmd
}

// A rotatable store can do each step of a rotation.
type rotatable interface {
	signer.Generator
	signer.Importer
	signer.Exporter
	signer.Deleter
}

// newRef and oldRef are the names of the two other keys of a rotation.
func newRef(ref string) string { return ref + ".new" }

func oldRef(ref string) string { return ref + ".old" }

func (a *app) rotateKey(ctx context.Context, ref string, flags *rotateFlags) error {
	server, err := serverURL(flags.server)
	if err != nil {
		return err
	}
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	if _, _, err := backendFor[rotatable](keys, "rotate", ref); err != nil {
		return err
	}
	if keys.File.Passphrase != nil { // the three keys have one passphrase
		keys.File.Passphrase = askOnce(keys.File.Passphrase)
	}
	r := &rotation{app: a, keys: keys, ref: ref}
	if flags.deleteOld {
		return signer.Wrap("rotate", ref, r.deleteOld(ctx, server, flags))
	}
	if err := r.prepare(ctx); err != nil {
		return signer.Wrap("rotate", ref, err)
	}
	if flags.prepare {
		a.note("countersign: tell this key to your servers, and then: countersign key rotate --no-connect %s\n", quoteRef(ref))
		return a.printKey(r.next)
	}
	if !flags.noConnect && r.current != nil && !signer.SameKey(r.current, r.next) {
		if err := r.connect(ctx, server, !flags.noBrowser); err != nil {
			return err
		}
	}
	return signer.Wrap("rotate", ref, r.moveOver(ctx))
}

// A rotation is the state of a key that is being replaced. Each step leaves a state
// that the next run can go on from, so the process may be killed at any time:
//
//	REF        REF.new    REF.old
//	old key    -          -          make the new key
//	old key    new key    -          connect it, and copy the old key
//	old key    new key    old key    delete the first of these
//	-          new key    old key    copy the new key
//	new key    new key    old key    delete the second of these
//	new key    -          old key    done
//
// A key is deleted only after its copy was opened and has signed.
type rotation struct {
	app  *app
	keys backends.Set
	ref  string

	current, next, old ssh.PublicKey // at REF, REF.new and REF.old; nil: there is none
}

// look reads the state from the stores.
func (r *rotation) look(ctx context.Context) error {
	fresh := withEmptyCache(r.keys).Mux()
	for _, place := range []struct {
		ref string
		pub *ssh.PublicKey
	}{{r.ref, &r.current}, {newRef(r.ref), &r.next}, {oldRef(r.ref), &r.old}} {
		key, err := fresh.Open(ctx, place.ref)
		switch {
		case err == nil:
			*place.pub = key.PublicKey()
		case errors.Is(err, signer.ErrNotFound):
			*place.pub = nil
		default:
			return err
		}
	}
	return nil
}

// prepare makes the new key, unless an earlier run did.
func (r *rotation) prepare(ctx context.Context) error {
	if err := r.look(ctx); err != nil {
		return err
	}
	switch {
	case r.next != nil && (r.current == nil || r.old == nil || signer.SameKey(r.current, r.old) || signer.SameKey(r.current, r.next)):
		return nil
	case r.current == nil && r.old == nil:
		return signer.ErrNotFound
	case r.current == nil:
		err := fmt.Errorf("%w: %s has the key of the last rotation", signer.ErrNotFound, oldRef(r.ref))
		return signer.WithHint(err, signer.Hint{Do: "to use that again: countersign key copy " + quoteRef(oldRef(r.ref)) + " " + quoteRef(r.ref)})
	case r.old != nil:
		err := fmt.Errorf("%w: %s has the key that the last rotation replaced", signer.ErrExists, oldRef(r.ref))
		return signer.WithHint(err, signer.Hint{Do: "if nothing uses it any more: countersign key rotate --delete-old " + quoteRef(r.ref)})
	}
	if err := r.checkFile(); err != nil {
		return err
	}
	t, err := r.app.targetFor(r.keys, newRef(r.ref), new(keyFileFlags))
	if err != nil {
		return err
	}
	source, name, err := backendFor[signer.Exporter](r.keys, "export", r.ref)
	if err != nil {
		return err
	}
	ask, unlockedWith := remember(r.keys.File.Passphrase)
	if files, ok := source.(*file.Backend); ok { // the new key file gets the passphrase of the old one
		asking := *files
		asking.Passphrase = ask
		source = &asking
	}
	if _, err := source.Export(ctx, name); err != nil { // it can be copied later
		return err
	}
	t.keepLocked(unlockedWith)
	key, err := t.store.(signer.Generator).Generate(ctx, t.name)
	if err != nil {
		return err
	}
	r.next = key.PublicKey()
	return nil
}

// checkFile refuses a key file whose place cannot be given to another key: a symbolic
// link, and a file beside which there is the public half of another key.
func (r *rotation) checkFile() error {
	name, isFile := strings.CutPrefix(r.ref, "file:")
	if !isFile {
		return nil
	}
	path, err := r.keys.File.Path(name)
	if err != nil {
		return err
	}
	if target, err := os.Readlink(path); err == nil {
		return fmt.Errorf("%s is a symbolic link: rotate the key that it leads to, %s", r.ref, printable.Text(target))
	}
	line, err := os.ReadFile(path + ".pub")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return printable.Error(err)
	}
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(line); err != nil || !signer.SameKey(pub, r.current) {
		return fmt.Errorf("%s.pub is not the public half of %s: correct it or remove it", printable.Text(path), r.ref)
	}
	return nil
}

// connect waits until the server accepts the new key.
func (r *rotation) connect(ctx context.Context, server *url.URL, browse bool) error {
	client, err := r.app.accounts(server, r.keys)
	if err != nil {
		return err
	}
	key, err := openAndCompare(ctx, r.keys.Mux(), newRef(r.ref), r.next)
	if err != nil {
		return err
	}
	if err := r.app.connectKey(ctx, client, key, browse); err != nil {
		return fmt.Errorf("%s was not changed: %w", r.ref, err)
	}
	return nil
}

// moveOver keeps the old key at REF.old, and puts the new key at REF. No other process
// does that at the same time.
func (r *rotation) moveOver(ctx context.Context) error {
	unlock, err := keylock.Lock(ctx, "rotation")
	if err != nil {
		return err
	}
	defer unlock()
	next := r.next
	if err := r.look(ctx); err != nil {
		return err
	}
	if !signer.SameKey(r.next, next) {
		return errors.New("another process has gone on with this rotation")
	}
	if r.current != nil && !signer.SameKey(r.current, r.next) {
		if err := r.checkFile(); err != nil {
			return err
		}
		if err := r.move(ctx, r.ref, oldRef(r.ref), r.current); err != nil {
			return err
		}
	}
	if err := r.copy(ctx, newRef(r.ref), r.ref, r.next); err != nil {
		return err
	}
	// The result is told before the last step: after that step another run would begin
	// another rotation.
	r.app.note("countersign: the old key is %s now; if nothing uses it any more: countersign key rotate --delete-old %s\n", oldRef(r.ref), quoteRef(r.ref))
	if err := r.app.printKey(r.next); err != nil {
		return err
	}
	return r.delete(ctx, newRef(r.ref), r.next)
}

// move copies a key and then deletes it at its first place.
func (r *rotation) move(ctx context.Context, from, to string, pub ssh.PublicKey) error {
	if err := r.copy(ctx, from, to, pub); err != nil {
		return err
	}
	return r.delete(ctx, from, pub)
}

// copy copies the key pub, unless it is there already, and tries the copy.
func (r *rotation) copy(ctx context.Context, from, to string, pub ssh.PublicKey) error {
	t, copied, _, err := r.app.transfer(ctx, r.keys, from, to, new(keyFileFlags))
	if err != nil {
		return err
	}
	if !signer.SameKey(copied, pub) {
		return fmt.Errorf("%s was replaced by another program", from)
	}
	return signTest(ctx, t.fresh, to, pub) // a run that was killed may have written it
}

// delete deletes the key pub, and no other that has taken its place.
func (r *rotation) delete(ctx context.Context, ref string, pub ssh.PublicKey) error {
	store, name, err := backendFor[signer.Deleter](r.keys, "delete", ref)
	if err != nil {
		return err
	}
	if _, err := openAndCompare(ctx, withEmptyCache(r.keys).Mux(), ref, pub); err != nil {
		return err
	}
	return store.Delete(ctx, name)
}

// deleteOld removes the old key from its account, and deletes it.
func (r *rotation) deleteOld(ctx context.Context, server *url.URL, flags *rotateFlags) error {
	if err := r.app.checkConfirm(flags.yes); err != nil {
		return err
	}
	unlock, err := keylock.Lock(ctx, "rotation")
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.look(ctx); err != nil {
		return err
	}
	old := oldRef(r.ref)
	switch {
	case r.old == nil:
		return fmt.Errorf("%w: there is no %s", signer.ErrNotFound, old)
	case r.current == nil, r.next != nil, signer.SameKey(r.current, r.old):
		err := errors.New("the rotation is not finished")
		return signer.WithHint(err, signer.Hint{Do: "finish it: countersign key rotate " + quoteRef(r.ref)})
	}
	question := fmt.Sprintf("Delete %s, the key %s, for good?", old, ssh.FingerprintSHA256(r.old))
	if err := r.app.confirm(ctx, flags.yes, question); err != nil {
		return err
	}
	if !flags.noConnect {
		if err := r.disconnectOld(ctx, server); err != nil {
			err = fmt.Errorf("removing the old key from its account, so %s was kept: %w", old, err)
			return signer.WithHint(err, signer.Hint{Do: "to delete it all the same, give --no-connect"})
		}
	}
	return r.delete(ctx, old, r.old)
}

// disconnectOld has nothing to do if the server does not know the key.
func (r *rotation) disconnectOld(ctx context.Context, server *url.URL) error {
	client, err := r.app.accounts(server, r.keys)
	if err != nil {
		return err
	}
	key, err := openAndCompare(ctx, r.keys.Mux(), oldRef(r.ref), r.old)
	if err != nil {
		return err
	}
	err = client.SignOut(ctx, key)
	if errors.Is(err, signin.ErrNotConnected) {
		return nil
	}
	return err
}
