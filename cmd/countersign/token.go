package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/httpclient"
)

// tokenFlags are the flags of the command token.
type tokenFlags struct {
	scopes         []string
	method         string
	header, asJSON bool
}

func (a *app) tokenCmd() *cobra.Command {
	var flags tokenFlags
	cmd := &cobra.Command{
		Use:   "token URL",
		Short: "Print the bearer token that opens URL",
		Long: `Ask for URL without a token, answer the challenge and print the token.

With --scope, the token is for that scope instead of the challenge's. URL may then be
the registry alone. A registry may grant less than a token is asked for.`,
		Example: "  countersign token https://registry.ollama.ai/v2/library/llama3/manifests/latest\n" +
			"  countersign token --header URL | curl -H @- URL\n" +
			"  countersign token --scope repository:team/app:pull,push https://registry.example.com",
		Args: checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := a.token(cmd.Context(), args[0], flags)
			if err != nil {
				return err
			}
			return a.printToken(token, flags)
		},
	}
	cmd.Flags().StringArrayVar(&flags.scopes, "scope", nil, "ask for this `SCOPE`, such as repository:team/app:pull,push (may be given more than once)")
	cmd.Flags().StringVar(&flags.method, "method", http.MethodGet, "send the request with this `METHOD` and without a body, such as HEAD or DELETE")
	cmd.Flags().BoolVar(&flags.header, "header", false, "print a whole header field: Authorization: Bearer ...")
	cmd.Flags().BoolVar(&flags.asJSON, "json", false, "print an object with token and expires_at")
	cmd.MarkFlagsMutuallyExclusive("header", "json")
	cmd.MarkFlagsMutuallyExclusive("scope", "method")
	return cmd
}

// scopeEntry matches type:name:actions (distribution's docs/content/spec/auth/scope.md).
var scopeEntry = regexp.MustCompile(`^[a-z0-9]+(\([a-z0-9]+\))?:[^\s,"]+:([a-z]+|\*)(,([a-z]+|\*))*$`)

// target returns the URL that is asked for: with a scope, /v2/ of a registry that is named
// without a path.
func (f tokenFlags) target(target string) (string, error) {
	for _, entry := range f.scopes {
		if !scopeEntry.MatchString(entry) {
			return "", usageError{errors.New("--scope: want TYPE:NAME:ACTIONS, such as repository:team/app:pull,push")}
		}
	}
	u, err := parseURL(target)
	if err != nil {
		return "", err
	}
	if len(f.scopes) > 0 && strings.Trim(u.Path, "/") == "" {
		u.Path = "/v2/"
	}
	return u.String(), nil
}

// withScopes returns ch with the scopes of --scope, if there are any.
func (f tokenFlags) withScopes(ch challenge.Challenge) challenge.Challenge {
	if len(f.scopes) == 0 {
		return ch
	}
	params := slices.DeleteFunc(slices.Clone(ch.Params), func(p challenge.Param) bool { return p.Name == "scope" })
	ch.Params = append(params, challenge.Param{Name: "scope", Value: strings.Join(f.scopes, " ")})
	return ch
}

// token asks for target without a token, to be challenged, and answers.
func (a *app) token(ctx context.Context, target string, flags tokenFlags) (challenge.Token, error) {
	target, err := flags.target(target)
	if err != nil {
		return challenge.Token{}, err
	}
	req, err := newRequest(ctx, target)
	if err != nil {
		return challenge.Token{}, err
	}
	req.Method = flags.method
	resp, err := send(httpclient.New(a.session.config.Transport(httpclient.NewTransport())), req)
	if err != nil {
		return challenge.Token{}, err
	}
	defer resp.Body.Close()
	if to, err := resp.Location(); err == nil {
		return challenge.Token{}, fmt.Errorf("%s: it redirects: ask for %s", httpclient.Answer(resp), to.Redacted())
	}
	if resp.StatusCode != http.StatusUnauthorized {
		return challenge.Token{}, fmt.Errorf("%s without a challenge: it needs no token, or it is not the URL of a resource", httpclient.Answer(resp))
	}
	ch, err := challenge.Bearer(resp.Header)
	if errors.Is(err, challenge.ErrNoChallenge) {
		return challenge.Token{}, fmt.Errorf("%s: %w: %s", httpclient.Answer(resp), err, httpclient.Authenticate(resp))
	}
	if err != nil {
		return challenge.Token{}, fmt.Errorf("%s: %w", httpclient.Answer(resp), err)
	}
	answering, err := a.client()
	if err != nil {
		return challenge.Token{}, err
	}
	return answering.Token(ctx, flags.withScopes(ch), resp.Request)
}

func (a *app) printToken(token challenge.Token, flags tokenFlags) error {
	switch {
	case flags.asJSON:
		return a.printJSON(struct {
			Token     string    `json:"token"`
			ExpiresAt time.Time `json:"expires_at"`
		}{token.Value(), token.Expires().UTC().Truncate(time.Second)})
	case flags.header:
		_, err := fmt.Fprintf(a.stdout, "Authorization: Bearer %s\n", token.Value())
		return err
	}
	_, err := fmt.Fprintln(a.stdout, token.Value())
	return err
}
