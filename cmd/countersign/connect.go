package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// signInServer is where Ollama's accounts are.
const signInServer = "https://ollama.com"

func (a *app) connectCmd() *cobra.Command {
	var noBrowser, noWait bool
	cmd := &cobra.Command{
		Use:        "connect [URL]",
		SuggestFor: []string{"login", "signin", "sign-in", "signup", "register", "auth"},
		Short:      "Connect the key to an account, on the server's sign-in page",
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

func (a *app) disconnectCmd() *cobra.Command {
	return &cobra.Command{
		Use:        "disconnect [URL]",
		SuggestFor: []string{"logout", "signout", "sign-out"},
		Short:      "Remove the key from its account",
		Long: `Ask the server to remove the key from its account, as "ollama signout" does. URL is
the server's, ` + signInServer + ` if it is left out. The key itself stays in its store:
countersign connect connects it again.`,
		Example: "  countersign disconnect\n  countersign disconnect --key keyring:ollama",
		Args:    checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := serverURL(append(args, signInServer)[0])
			if err != nil {
				return err
			}
			return a.disconnect(cmd.Context(), server)
		},
	}
}

// signIn returns the client for the accounts of server, and the key for it.
func (a *app) signIn(ctx context.Context, server *url.URL) (*signin.Client, signer.Signer, error) {
	c, keys, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	client, err := a.accounts(server, keys)
	if err != nil {
		return nil, nil, err
	}
	query := config.Here(a.key)
	query.Registry = server
	key, _, err := c.Choose(query).Open(ctx, keys)
	return client, key, err
}

// accounts returns the client for the accounts of server.
func (a *app) accounts(server *url.URL, keys backends.Set) (*signin.Client, error) {
	origin, err := challenge.OriginOf(server)
	if err != nil {
		return nil, usageError{err}
	}
	if err := a.session.config.Policy().CheckPlain(origin); err != nil {
		return nil, err
	}
	return &signin.Client{Server: origin, Config: a.session.config, Keys: keys.Mux()}, nil
}

func (a *app) connect(ctx context.Context, server *url.URL, browse, wait bool) error {
	client, key, err := a.signIn(ctx, server)
	if err != nil {
		return err
	}
	if !wait {
		page, err := client.Page(key)
		if err == nil {
			_, err = fmt.Fprintln(a.stdout, page)
		}
		return err
	}
	return a.connectKey(ctx, client, key, browse)
}

// connectKey shows the sign-in page for key and waits until the server accepts key.
func (a *app) connectKey(ctx context.Context, client *signin.Client, key signer.Signer, browse bool) error {
	page, err := client.Page(key)
	if err != nil {
		return err
	}
	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	waiting := &terminal.Progress{Out: a.notes(), Text: a.safe(fmt.Sprintf("waiting until %s accepts %s", client.Server, fingerprint))}
	var last error
	account, err := client.Wait(ctx, key, func(p signin.Progress) {
		if last == nil {
			a.showPage(page, browse)
		}
		last = p.Err
		waiting.Show()
	})
	waiting.End()
	switch {
	case err != nil && ctx.Err() != nil && last != nil:
		return fmt.Errorf("stopped waiting, %s: %w; run this again to go on", a.endReason(ctx), last)
	case err != nil:
		return err
	}
	done := "connected"
	if last == nil {
		done = "already connected"
	}
	return a.print("%s to %s as %s: %s\n", done, client.Server, printable.Quote(account.Name), fingerprint)
}

func (a *app) disconnect(ctx context.Context, server *url.URL) error {
	client, key, err := a.signIn(ctx, server)
	if err != nil {
		return err
	}
	if err := client.SignOut(ctx, key); err != nil {
		return err
	}
	return a.print("disconnected from %s: %s\n", client.Server, ssh.FingerprintSHA256(key.PublicKey()))
}

// endReason tells why ctx ended.
func (a *app) endReason(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("after %v", a.timeout)
	}
	return "interrupted"
}

// showPage prints the address of a page, and opens the page if a person is there.
func (a *app) showPage(page string, browse bool) {
	fmt.Fprintln(a.stdout, page)
	if browse && terminal.CanBrowse(a.stdout, a.stderr) {
		terminal.OpenBrowser(page, func(err error) { a.note("\nno browser opens (%v): open the address above\n", err) })
	}
}
