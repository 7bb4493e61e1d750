package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/grants"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/internal/printable"
)

func (a *app) keysCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "List the known keys, and the lines that count for nothing",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			store, err := authkeys.Open(c.Keys.Authorized, c.Keys.Denied)
			if err != nil {
				return err
			}
			t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			for _, e := range store.Keys().Entries {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Name, ssh.FingerprintSHA256(e.Key), e.Key.Type(), stateOf(store, e, time.Now()))
			}
			if err := t.Flush(); err != nil {
				return err
			}
			for _, m := range store.Keys().Mistakes {
				fmt.Fprintf(a.stdout, "no key: %s\n", m)
			}
			return nil
		},
	}
}

// stateOf tells in a few words whether a key can be used.
func stateOf(store *authkeys.Store, e authkeys.Entry, now time.Time) string {
	var all []string
	if err := store.CheckDenied(e.Key); err != nil {
		all = append(all, "denied")
	}
	if !e.Expires.IsZero() {
		word := "expires "
		if !now.Before(e.Expires) {
			word = "expired "
		}
		all = append(all, word+e.Expires.UTC().Format(time.DateTime)+" UTC")
	}
	if e.From != "" {
		all = append(all, "from "+e.From)
	}
	return strings.Join(all, ", ")
}

func (a *app) explainCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME [SCOPE...]",
		Short: "Tell what the owner of a key may do, and why",
		Long: `Tell what the owner of a key may do at each site, and which line of the grants is the
reason. NAME is a name in authorized_keys, a fingerprint (SHA256:...), or "anonymous" for
clients without a key. With scopes such as repository:users/alice/model:push it tells for
each whether it is granted.`,
		Example: `  countersignd explain alice
  countersignd explain alice repository:library/llama3:push ollama:chat:call`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			store, err := authkeys.Open(c.Keys.Authorized, c.Keys.Denied)
			if err != nil {
				return err
			}
			name, err := a.explainKeys(store, args[0])
			if err != nil {
				return err
			}
			for _, s := range c.Sites {
				if err := a.explainSite(s, name, args[1:]); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// explainKeys prints the keys of a name or fingerprint, and returns the name.
func (a *app) explainKeys(store *authkeys.Store, who string) (string, error) {
	if who == "anonymous" {
		fmt.Fprintln(a.stdout, "clients without a key")
		return grants.Anonymous, nil
	}
	name := who
	if e, ok := store.Keys().FindFingerprint(who); ok {
		name = e.Name
	} else if strings.HasPrefix(who, "SHA256:") {
		return "", fmt.Errorf("no line of the authorized keys has the key %s", printable.Text(who))
	} else if !authkeys.IsName(who) {
		return "", fmt.Errorf("%s cannot be the name of a key's owner", printable.Quote(who))
	}
	found := false
	for _, e := range store.Keys().Entries {
		if e.Name != name {
			continue
		}
		found = true
		line := fmt.Sprintf("%s has the key %s (line %d)", name, ssh.FingerprintSHA256(e.Key), e.Line)
		if state := stateOf(store, e, time.Now()); state != "" {
			line += ": " + state
		}
		fmt.Fprintln(a.stdout, line)
	}
	if !found {
		fmt.Fprintf(a.stdout, "no key has the name %s: the grants below hold for nobody yet\n", name)
	}
	return name, nil
}

func (a *app) explainSite(s config.Site, name string, scopes []string) error {
	data, err := os.ReadFile(s.Grants)
	if err != nil {
		return printable.Error(err)
	}
	g, err := grants.Parse(data, s.Grants)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "at %s:\n", s.Origin)
	if len(scopes) > 0 {
		return a.explainScopes(g, name, scopes)
	}
	all := g.For(name)
	for _, grant := range all {
		for _, line := range grant.Describe(name) {
			fmt.Fprintf(a.stdout, "  %s (%s:%d)\n", line, printable.Text(s.Grants), grant.Line)
		}
	}
	if len(all) == 0 {
		fmt.Fprintln(a.stdout, "  nothing: no grant holds for this name")
	}
	return nil
}

func (a *app) explainScopes(g *grants.Grants, name string, scopes []string) error {
	for _, text := range scopes {
		asked := scope.Parse([]string{text})
		if len(asked) == 0 {
			return errors.New("a scope has the form type:name:action, such as repository:library/llama3:pull")
		}
		answer := "refused: no grant"
		if granted := g.Intersect(name, asked); len(granted) > 0 {
			answer = "granted: " + granted[0].String()
		}
		fmt.Fprintf(a.stdout, "  %s: %s\n", printable.Text(text), answer)
	}
	return nil
}
