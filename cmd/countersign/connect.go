package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v7"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/ollama"
)

// signInServer is where Ollama's accounts are.
const signInServer = "https://ollama.com"

func (a *app) connectCmd() *cobra.Command {
	var noBrowser, noWait bool
	cmd := &cobra.Command{
		Use:   "connect [URL]",
		Short: "Connect the key to an account, on the server's sign-in page",
		Long: `Print the address of the sign-in page where the key can be connected to an account,
open it in a browser if somebody is there to see it, and wait until the server
accepts the key. URL is the server's, ` + signInServer + ` if it is left out.

While it waits, the command asks the server every few seconds, with a signed
request. Ctrl-C and --timeout end that. Nothing is opened without a terminal, over
SSH, or without a display. A key that is accepted already is left as it is.`,
		Example: "  countersign connect\n  countersign connect --key keyring:ollama --timeout 5m\n  countersign connect --no-wait",
		Args:    checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := serverURL(append(args, signInServer)[0])
			if err != nil {
				return err
			}
			return a.connect(cmd.Context(), server, !noBrowser, !noWait)
		},
	}
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "open no browser")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "print the page's address and do nothing else")
	return cmd
}

// serverURL reads the URL of a server, which is one without a path.
func serverURL(text string) (*url.URL, error) {
	u, err := parseURL(text)
	if err != nil {
		return nil, err
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, usageError{fmt.Errorf("give the server alone: %s://%s", u.Scheme, u.Host)}
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func (a *app) connect(ctx context.Context, server *url.URL, browse, wait bool) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	origin, err := challenge.OriginOf(server)
	if err != nil {
		return usageError{err}
	}
	if err := client.Policy.CheckPlain(origin); err != nil {
		return err
	}
	key, err := client.Key(ctx, origin)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	page, err := ollama.SignInURL(server.String(), key.PublicKey(), host)
	if err != nil {
		return err
	}
	if !wait {
		_, err := fmt.Fprintln(a.stdout, page)
		return err
	}
	return a.waitForUser(ctx, newAccount(origin, key), ssh.FingerprintSHA256(key.PublicKey()), page, browse)
}

// waitForUser shows page, unless the key is accepted already, and asks until it
// is. Only a server that has answered once is forgiven a failure.
func (a *app) waitForUser(ctx context.Context, acc account, fingerprint, page string, browse bool) error {
	waiting := &terminal.Progress{Out: a.notes(), Text: a.safe(fmt.Sprintf("waiting until %s accepts %s", acc.server, fingerprint))}
	shown := false
	var last error
	ask := func() (string, error) {
		name, temporary, err := acc.user(ctx)
		if ctx.Err() == nil {
			last = err
		}
		if err != nil && !errors.Is(err, errNotAccepted) && !(shown && temporary) {
			err = backoff.Permanent(err)
		}
		return name, err
	}
	again := func(error, time.Duration) {
		if !shown {
			shown = true
			a.show(page, browse)
		}
		waiting.Show()
	}
	name, err := backoff.Retry(ctx, ask, backoff.WithBackOff(pollInterval()), backoff.WithNotify(again), backoff.WithMaxElapsedTime(0))
	waiting.End()
	switch {
	case err != nil && ctx.Err() != nil && last != nil:
		return fmt.Errorf("stopped waiting, %s: %w; run this again to go on", a.why(ctx), last)
	case err != nil:
		return backoff.AsRetryError(err).LastErr
	}
	done := "connected"
	if !shown {
		done = "already connected"
	}
	return a.print("%s to %s as %s: %s\n", done, acc.server, printable.Quote(name), fingerprint)
}

// why tells what ended ctx.
func (a *app) why(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("after %v", a.timeout)
	}
	return "interrupted"
}

// show prints the page's address, and opens it where somebody is.
func (a *app) show(page string, browse bool) {
	fmt.Fprintln(a.stdout, page)
	if browse && terminal.CanBrowse(a.stdout, a.stderr) {
		terminal.OpenBrowser(page, func(err error) { a.note("\nno browser opens (%v): open the address above\n", err) })
	}
}

// pollInterval grows: who is not done at once has to sign in first.
func pollInterval() backoff.BackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 2 * time.Second, Multiplier: 1.1, MaxInterval: 10 * time.Second}
}
