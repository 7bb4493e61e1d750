package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/remedy"
	"github.com/countersign/countersign/signer"
)

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Find, show and check the configuration",
		Args:  subcommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "path",
		Short: "Print where the configuration file is, or should be",
		Args:  checkArguments,
		RunE:  func(*cobra.Command, []string) error { return a.configPath() },
	}, &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check the configuration file, or another one before it is used",
		Long: `Check that the configuration file, or FILE, has no mistakes, and that nobody else
can change it.`,
		Args: checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return a.checkConfig(cmd.Context(), args) },
	}, a.configShowCmd())
	return cmd
}

func (a *app) configPath() error {
	path := config.Path()
	if path == "" {
		return errors.New("no home directory, and so no configuration file: name one in COUNTERSIGN_CONFIG")
	}
	if _, err := os.Stat(path); keyfile.IsMissing(err) {
		a.note("countersign: there is no such file\n")
	}
	return a.print("%s\n", path)
}

func (a *app) checkConfig(ctx context.Context, args []string) error {
	c, err := a.readConfig(ctx, args)
	if err != nil {
		a.warnOfConfigFile(cmp.Or(strings.Join(args, ""), config.Path())) // a mistake can be another user's
		return err
	}
	if c.File() == "" {
		return a.print("OK: there is no configuration file, and the built-in order holds\n")
	}
	if err := c.CheckSchemes(c.Backends().Mux()); err != nil {
		return err
	}
	if err := config.CheckAccess(c.File()); err != nil {
		return err
	}
	return a.print("%s: OK: %s\n", c.File(), sections(c))
}

// readConfig returns the configuration in the file that args names, or else the
// one in use.
func (a *app) readConfig(ctx context.Context, args []string) (*config.Config, error) {
	if len(args) == 0 {
		return a.session.config, a.session.err
	}
	return signer.Await(ctx, func() (*config.Config, error) { return config.ReadFile(args[0]) })
}

// warnOfConfigFile tells the user that others can decide which key signs for which
// registry. The path is "" if there is no file.
func (a *app) warnOfConfigFile(path string) {
	if path != "" {
		a.warnOf(config.CheckAccess(path))
	}
}

// warnOf prints err if it says that other users can change or replace a file. The
// command goes on, because in some containers that is intended.
func (a *app) warnOf(err error) {
	if errors.Is(err, signer.ErrInsecure) {
		a.note("countersign: warning: %v\n  %s\n", err, remedy.Of(err))
	}
}

func sections(c *config.Config) string {
	var found []string
	if names := c.Platforms(); len(names) > 0 {
		found = append(found, "platforms "+strings.Join(names, ", "))
	}
	if names := c.Registries(); len(names) > 0 {
		found = append(found, "registries "+strings.Join(names, ", "))
	}
	if len(found) == 0 {
		return "no section for a platform or a registry"
	}
	return strings.Join(found, "; ")
}
