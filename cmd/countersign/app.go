package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/misplaced"
	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer"
)

// The exit codes. They are documented in docs/command.md and do not change.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitNoKey
	exitLocked
	exitRejected
)

// An app has the state that all commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       *terminal.Terminal
	help           *checkedWriter // cobra's output on stdout

	key     string        // --key
	timeout time.Duration // --timeout
	quiet   bool          // --quiet
	verbose bool          // --verbose
	unlock  secretSource  // --passphrase-file, --passphrase-fd
	session *session      // of the command that runs
	prompts prompts

	misplaced misplaced.Filter // of keys on the command line
	keyJSON   bool             // --json of commands that print a public key
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

// root returns the command with all its subcommands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "countersign",
		Short:             "Answer HTTP authentication challenges with a key that stays where it is",
		Long:              rootHelp,
		Version:           version(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              subcommand,
		RunE:              showHelp,
		PersistentPreRunE: a.begin,
	}
	root.PersistentFlags().StringVar(&a.key, "key", "", "the `REF` of the key to use, such as env:OLLAMA_KEY; nothing else is tried")
	root.PersistentFlags().DurationVar(&a.timeout, "timeout", 0, "give up after this long, such as 30s (0: never)")
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "nothing on stderr but errors and questions")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "show each step of the exchange for a token, and the details of an error, on stderr")
	a.unlock.addFlags(a, root.PersistentFlags(), "passphrase", "the passphrase of a locked key")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		a.demoCmd(), a.getCmd(), a.tokenCmd(), a.signCmd(), a.printsKey(a.verifyCmd()), a.keyCmd(), a.pluginCmd(), a.whoamiCmd(), a.configCmd(),
		a.agentCmd(), a.proxyCmd(), a.connectCmd(), a.disconnectCmd(), a.doctorCmd(),
	)
	a.complete(root)
	a.help = &checkedWriter{Writer: a.stdout}
	root.SetOut(a.help)
	a.addBuiltins(root)
	return root
}

// begin runs before every command.
func (a *app) begin(cmd *cobra.Command, args []string) error {
	if cmd.Flags().Changed("key") && a.key == "" {
		return errors.New("--key is empty: is the variable in it set?")
	}
	if a.timeout < 0 {
		return errors.New("--timeout is negative: leave it out to wait as long as it takes")
	}
	if a.timeout > 0 {
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
		context.AfterFunc(cmd.Context(), cancel)
		cmd.SetContext(ctx)
	}
	if a.verbose {
		cmd.SetContext(challenge.WithTrace(cmd.Context(), challenge.LogTrace(a.logger())))
	}
	cmd.SetContext(signer.WithPromptFunc(cmd.Context(), a.prompts.event))
	if cmd.Name() == cobra.ShellCompRequestCmd {
		return nil // completes the names of variables, and starts no program
	}
	var err error
	a.session, err = newSession(cmd.Context(), append(args, a.key)...)
	return err
}

// logger writes lines without a time to stderr.
func (a *app) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
			if len(groups) == 0 && attr.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attr
		},
	}))
}

// execute runs the command that args name and returns its exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.misplaced = misplaced.NewFilter(append(args, strings.Join(args, " "), os.Getenv("COUNTERSIGN_KEY"), os.Getenv("COUNTERSIGN_CONFIG"))...)
	a.prompts.print = func(line string) { fmt.Fprint(a.stderr, a.safe(line)) }
	root := a.root()
	started := false
	beforeRun(root, func() { started = true })
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetErr(a.stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if a.help.err != nil {
		started, err = true, a.help.err
	}
	if err == nil {
		return exitDone
	}
	ended := cmd.Context().Err()
	if errors.Is(ended, context.DeadlineExceeded) && errors.Is(err, ended) {
		during := ""
		if prompt := a.prompts.unanswered(); prompt != "" {
			during = ", while " + prompt + " was open"
		}
		err = fmt.Errorf("stopped after %v (--timeout)%s: %w", a.timeout, during, err)
	}
	a.printError(err)
	if !started || errors.As(err, new(usageError)) {
		fmt.Fprintf(a.stderr, "Try: %s --help\n", cmd.CommandPath())
		return exitUsage
	}
	return exitCode(err)
}

// beforeRun lets cmd and its subcommands call f first. They do not call it if their
// arguments are wrong.
func beforeRun(cmd *cobra.Command, f func()) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f()
		return run(cmd, args)
	}
	for _, sub := range cmd.Commands() {
		beforeRun(sub, f)
	}
}

// exitCode returns the exit code for an error, so that scripts can tell errors apart.
func exitCode(err error) int {
	is := func(target error) bool { return errors.Is(err, target) }
	if command, ok := errors.AsType[commandError](err); ok {
		return command.exit.ExitCode()
	}
	switch {
	case is(challenge.ErrRejected):
		return exitRejected
	case is(signer.ErrNotFound):
		return exitNoKey
	case is(signer.ErrLocked), is(signer.ErrDenied):
		return exitLocked
	case is(signer.ErrName), errors.As(err, new(*config.Error)):
		return exitUsage
	}
	return exitFailed
}

// version returns the version that Go recorded in this program: a released version,
// or the time and the revision of the source, or "(devel)" without a repository.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return fmt.Sprintf("%s %s %s/%s", cmp.Or(info.Main.Version, "(devel)"), info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
