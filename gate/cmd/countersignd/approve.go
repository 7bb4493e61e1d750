package main

import (
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/signin"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

func (a *app) approveCmd() *cobra.Command {
	var forget bool
	cmd := &cobra.Command{
		Use:   "approve [FINGERPRINT [NAME]]",
		Short: "Enrol a key that waits for approval, or list such keys",
		Long: `Enrol a key that waits for approval: add it to authorized_keys under NAME. The key acts
within a second. Compare the fingerprint with the one that the owner sent you: anyone can
ask with any name. What NAME may do is in the grants.

Without arguments, list the keys that wait. With --forget, drop a key that waits.`,
		Example: `  countersignd approve
  countersignd approve SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU alice
  countersignd approve --forget SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU`,
		Args: cobra.MaximumNArgs(2),
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "drop the key and enrol nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.load()
		if err != nil {
			return err
		}
		if c.Keys.Pending == "" {
			return errors.New("no key can wait for approval: the configuration names no file for them (pending in [keys])")
		}
		pending := signin.NewPending(c.Keys.Pending)
		all, err := pending.List()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return a.listPending(all)
		}
		if err := a.checkOwner(); err != nil {
			return err
		}
		switch {
		case forget:
			return pending.Remove(cmd.Context(), args[0])
		case len(args) == 1:
			return signer.WithHint(errors.New("the name of the key's owner is missing"), signer.Hint{Do: "countersignd approve " + printable.Text(args[0]) + " NAME"})
		}
		key, err := findPending(all, args[0])
		if err != nil {
			return err
		}
		if err := authkeys.Append(c.Keys.Authorized, key, args[1]); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s is enrolled for %s. \"countersignd explain %s\" tells what it may do.\n", args[0], args[1], args[1])
		return pending.Remove(cmd.Context(), args[0])
	}
	return cmd
}

func findPending(all []signin.Key, fingerprint string) (ssh.PublicKey, error) {
	i := slices.IndexFunc(all, func(k signin.Key) bool { return k.Fingerprint() == fingerprint })
	if i < 0 {
		err := fmt.Errorf("no key with the fingerprint %s waits for approval", printable.Text(fingerprint))
		return nil, signer.WithHint(err, signer.Hint{Do: `let the owner run "ollama signin" or "countersign connect" once more; "countersignd approve" lists the keys that wait`})
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(all[i].Line))
	return key, err
}

func (a *app) listPending(all []signin.Key) error {
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, k := range all {
		fmt.Fprintf(t, "%s\t%s\tfrom %s\n", k.Fingerprint(), k.Since.Format(time.DateTime+" MST"), printable.Text(k.Address))
	}
	if len(all) == 0 {
		fmt.Fprintln(a.stderr, "no key waits for approval")
	}
	return t.Flush()
}
