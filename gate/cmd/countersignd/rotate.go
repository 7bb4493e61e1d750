package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/internal/printable"
)

func (a *app) rotateCmd() *cobra.Command {
	var origin string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new signing key with a certificate",
		Long: `Make a new signing key in place of the old one if it is in a file, and a certificate for
it. A key in another store is replaced there first; then this command makes only the
certificate. The gate uses both within a second, and the registry needs no restart. Tokens
that the old key signed stay valid until they expire.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&origin, "site", "", "the `ORIGIN` of the site; not needed if there is one site")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := a.load()
		if err != nil {
			return err
		}
		if err := a.checkOwner(); err != nil {
			return err
		}
		site := c.Sites[0]
		if origin != "" {
			o, err := challenge.ParseOrigin(origin)
			if err != nil {
				return fmt.Errorf("--site: %w", err)
			}
			found := false
			if site, found = c.SiteOf(o); !found {
				return errors.New("--site: the configuration has no site with this origin")
			}
		} else if len(c.Sites) > 1 {
			return errors.New("there are several sites: name one with --site")
		}
		path, err := setup.Rotate(cmd.Context(), site, a.keys(), time.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "made %s\n", printable.Text(path))
		return nil
	}
	return cmd
}
