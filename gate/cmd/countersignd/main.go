// Command countersignd opens a registry and an Ollama server to the SSH keys that
// people have.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/remedy"
	"github.com/countersign/countersign/signer"
)

// defaultConfig is the configuration file without --config.
const defaultConfig = "/etc/countersignd/countersignd.toml"

// configVariable names the configuration file if --config is missing.
const configVariable = "COUNTERSIGND_CONFIG"

// The exit codes.
const (
	exitDone = iota
	exitFailed
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	logging.Disable()            // of package redis: the gate itself logs that Redis does not answer
	a := &app{stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(a.execute(ctx, os.Args[1:]))
}

// app is what the commands share.
type app struct {
	stdout, stderr io.Writer
	args           []string
	config         string // --config
}

// errReported: the mistakes were printed already.
var errReported = errors.New("there are mistakes")

func (a *app) execute(ctx context.Context, args []string) int {
	a.args = args
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	started := false
	for _, c := range root.Commands() {
		run := c.RunE
		if run == nil {
			continue
		}
		c.RunE = func(cmd *cobra.Command, args []string) error {
			started = true
			return run(cmd, args)
		}
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintf(a.stderr, "countersignd: %s\n", printable.Lines(err.Error()))
	}
	if hint := remedy.Of(err); hint != "" {
		fmt.Fprintf(a.stderr, "  hint: %s\n", printable.Lines(hint))
	}
	if !started {
		fmt.Fprintf(a.stderr, "Try: %s --help\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "countersignd",
		Short: "Open a registry and an Ollama server to the SSH keys that people have",
		Long: `countersignd stands at the public address of a registry, an Ollama server, or both.
It admits requests that are signed with a known key.

Start with "countersignd init". Exit codes: 0 done, 1 failed, 2 called wrongly.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	config := os.Getenv(configVariable)
	if config == "" {
		config = defaultConfig
	}
	root.PersistentFlags().StringVar(&a.config, "config", config, "the configuration `FILE`; "+configVariable+" sets it too")
	root.AddCommand(a.initCmd(), a.checkCmd(), a.serveCmd(), a.approveCmd(), a.keysCmd(), a.explainCmd(), a.rotateCmd())
	return root
}

// load reads the configuration.
func (a *app) load() (*config.Config, error) {
	c, err := config.Load(a.config)
	if errors.Is(err, os.ErrNotExist) {
		return nil, signer.WithHint(err, signer.Hint{Do: `run "countersignd init", or name the file with --config or ` + configVariable})
	}
	return c, err
}

// keys returns the backends that open signing keys.
func (a *app) keys() signer.Mux { return backends.New().Mux() }
