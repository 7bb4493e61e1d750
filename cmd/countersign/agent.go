package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/askpass"
	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/agentserver"
	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// agentFlags are the flags of the command agent.
type agentFlags struct {
	socket       string
	lifetime     time.Duration
	confirm      bool
	allowUnbound bool
	shell        string // of --print-env; "" without it
}

func (a *app) agentCmd() *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "agent [REF...]",
		Short: "Serve keys to ssh and git as an SSH agent, each for its purposes only",
		Long: `Serve the keys REF, or without REF the key that whoami tells, over the ssh-agent
protocol, until a signal ends the command. After -- it runs a command with the
agent and ends with it.

A key signs SSH logins and files (SSHSIG), or the purposes that the configuration
allows. It never signs a digest or a text of an unknown protocol. A login needs a
client that tells its session (OpenSSH 8.9 or later). A host to which the agent
is forwarded gets logins only. Each signature and each refusal is a line on
stderr.`,
		Example: `  countersign agent keyring:work --socket ~/.ssh/countersign.sock
  countersign agent keyring:work -- git push`,
		Args: agentArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return a.agent(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.socket, "socket", "", "the `PATH` of the socket (default: agent.sock in $XDG_RUNTIME_DIR/countersign, or in a new folder)")
	flags.DurationVar(&f.lifetime, "lifetime", 0, "end after this long, such as 8h (0: never)")
	flags.BoolVar(&f.confirm, "confirm", false, "ask before each signature, at the terminal or with the program in SSH_ASKPASS")
	flags.BoolVar(&f.allowUnbound, "allow-unbound", false, "sign logins of clients that do not tell their session, such as OpenSSH before 8.9")
	flags.StringVar(&f.shell, "print-env", "", "print the commands that set SSH_AUTH_SOCK, for the `SHELL` sh, csh or fish")
	flags.Lookup("print-env").NoOptDefVal = "sh"
	return cmd
}

// agentArguments are any number of references, and a command after --.
func agentArguments(cmd *cobra.Command, args []string) error {
	if n := cmd.ArgsLenAtDash(); n >= 0 && n == len(args) {
		return errors.New("no command after --")
	}
	return nil
}

func (a *app) agent(cmd *cobra.Command, args []string, f agentFlags) (err error) {
	ctx := cmd.Context()
	if _, ok := environmentCommands[f.shell]; !ok && f.shell != "" {
		return usageError{errors.New("--print-env: want sh, csh or fish")}
	}
	if f.lifetime < 0 {
		return usageError{errors.New("--lifetime is negative: leave it out to serve without an end")}
	}
	refs, command := args, []string(nil)
	if n := cmd.ArgsLenAtDash(); n >= 0 {
		refs, command = args[:n], args[n:]
	}
	server := &agentserver.Server{AllowUnbound: f.allowUnbound, Log: slog.New(slog.NewTextHandler(a.notes(), nil))}
	if f.confirm {
		if server.Confirm, err = a.confirmer(); err != nil {
			return err
		}
	}
	if server.Keys, err = a.servedKeys(ctx, refs); err != nil {
		return err
	}
	path, remove, err := socketPath(f.socket, command != nil)
	if err != nil {
		return err
	}
	defer remove()
	l, err := agentserver.Listen(ctx, path)
	if err != nil {
		return err
	}
	if f.lifetime > 0 {
		server.Expires = time.Now().Add(f.lifetime)
	}
	if command != nil {
		environment := []string{"SSH_AUTH_SOCK=" + l.Addr().String(), fmt.Sprintf("SSH_AGENT_PID=%d", os.Getpid())}
		return a.runBeside(ctx, command, environment, func(ctx context.Context) error { return server.Serve(ctx, l) })
	}
	defer l.Close()
	if err := a.printAgent(f.shell, path, len(server.Keys)); err != nil {
		return err
	}
	err = server.Serve(ctx, l)
	if err == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err() // --timeout
	}
	return err
}

// socketPath returns the path of the socket, and the function that removes the folder
// that was made for it.
func socketPath(path string, private bool) (string, func(), error) {
	switch {
	case path != "":
		path, err := filepath.Abs(path)
		return path, func() {}, err
	case private:
		return agentserver.TempPath()
	}
	return agentserver.DefaultPath()
}

// environmentCommands are the commands of each shell that tell clients the agent.
var environmentCommands = map[string]string{
	"sh":   "SSH_AUTH_SOCK=%[1]s; export SSH_AUTH_SOCK;\nSSH_AGENT_PID=%[2]d; export SSH_AGENT_PID;\n",
	"csh":  "setenv SSH_AUTH_SOCK %[1]s;\nsetenv SSH_AGENT_PID %[2]d;\n",
	"fish": "set -gx SSH_AUTH_SOCK %[1]s;\nset -gx SSH_AGENT_PID %[2]d;\n",
}

func (a *app) printAgent(sh, path string, keys int) error {
	if sh != "" {
		_, err := fmt.Fprintf(a.stdout, environmentCommands[sh], shell.Quote(path), os.Getpid())
		return err
	}
	a.note("countersign: serving %s, for programs that are started after: export SSH_AUTH_SOCK=%s\n", plural(keys, "key"), shell.Quote(path))
	return nil
}

// servedKeys returns the keys refs, or the key that is chosen without a registry. A key
// that is locked is served too: clients see it when it is unlocked.
func (a *app) servedKeys(ctx context.Context, refs []string) ([]agentserver.Key, error) {
	c, set, err := a.load()
	if err != nil {
		return nil, err
	}
	keeper := &signer.Keeper{Backend: set}
	if len(refs) == 0 {
		_, e, err := c.Choose(config.Here(a.key)).Open(ctx, keeper)
		if err != nil {
			return nil, err
		}
		refs = []string{e.Tried[len(e.Tried)-1].Ref}
	}
	var keys []agentserver.Key
	for _, ref := range refs {
		key := agentserver.Key{
			Name:     ref,
			Open:     func(ctx context.Context) (signer.Signer, error) { return keeper.Open(ctx, ref) },
			Purposes: func(pub ssh.PublicKey) []guard.Purpose { return servedPurposes(c, ref, pub) },
		}
		opened, err := key.Open(ctx)
		switch {
		case err == nil:
			key.Public = opened.PublicKey()
			if len(key.Purposes(key.Public)) == 0 {
				a.note("countersign: the configuration limits %s to purposes that an agent never signs for\n", ref)
			}
		case errors.Is(err, signer.ErrLocked):
			key.Public = listedKeyOf(ctx, set, ref)
			a.note("countersign: %v\n", err)
		default:
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// servedPurposes returns the purposes of the configuration, or SSH logins and files.
func servedPurposes(c *config.Config, ref string, pub ssh.PublicKey) []guard.Purpose {
	purposes, limited := c.Purposes(ref, pub)
	if !limited {
		return []guard.Purpose{guard.UserAuth, guard.SSHSig}
	}
	return slices.DeleteFunc(purposes, func(p guard.Purpose) bool { return p == guard.Raw || p == guard.Digest })
}

// listedKeyOf returns the public half that a store tells of a locked key, or nil.
func listedKeyOf(ctx context.Context, set backends.Set, ref string) ssh.PublicKey {
	b, name, err := set.Mux().Resolve(ref)
	store, ok := b.(signer.Lister)
	if err != nil || !ok {
		return nil
	}
	infos, _ := store.List(ctx) // with an error it lists the rest
	for _, info := range infos {
		if info.Name == name {
			return info.PublicKey
		}
	}
	return nil
}

// confirmer returns the function that asks a person before each signature.
func (a *app) confirmer() (func(context.Context, agentserver.Use) error, error) {
	confirm := askpass.FindConfirm(a.terminal.IsPresent())
	if confirm == nil && a.terminal.IsPresent() {
		confirm = func(ctx context.Context, question string) error { return a.confirm(ctx, false, question) }
	}
	if confirm == nil {
		err := errors.New("--confirm: there is no terminal to ask at")
		return nil, signer.WithHint(err, signer.Hint{Do: "name a program that asks in SSH_ASKPASS, and set DISPLAY or SSH_ASKPASS_REQUIRE=force"})
	}
	return func(ctx context.Context, u agentserver.Use) error { return confirm(ctx, question(u)) }, nil
}

func question(u agentserver.Use) string {
	text := fmt.Sprintf("Sign %s with %s (%s)", u.Purpose, u.Key, u.Fingerprint)
	if u.Purpose == guard.UserAuth {
		text = fmt.Sprintf("Sign an SSH login as %s with %s (%s)", u.User, u.Key, u.Fingerprint)
		if u.HostKey != "" {
			text += " to the host with the key " + u.HostKey
		}
		if u.Forwarded {
			text += ", through a host that this agent is forwarded to"
		}
	}
	return text + "?"
}
