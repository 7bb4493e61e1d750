package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/httpclient"
)

func (a *app) tokenCmd() *cobra.Command {
	var header, asJSON bool
	cmd := &cobra.Command{
		Use:     "token URL",
		Short:   "Print the bearer token that opens URL",
		Example: "  countersign token https://registry.ollama.ai/v2/library/llama3/manifests/latest\n  countersign token --header URL | curl -H @- URL",
		Args:    checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := a.token(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printToken(token, header, asJSON)
		},
	}
	cmd.Flags().BoolVar(&header, "header", false, "print a whole header field: Authorization: Bearer ...")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object with token and expires_at")
	cmd.MarkFlagsMutuallyExclusive("header", "json")
	return cmd
}

// token asks for target without a token, to be challenged, and answers.
func (a *app) token(ctx context.Context, target string) (challenge.Token, error) {
	resp, err := getURL(ctx, httpclient.New(a.session.config.Transport(httpclient.NewTransport())), target)
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
	return answering.Token(ctx, ch, resp.Request)
}

func (a *app) printToken(token challenge.Token, header, asJSON bool) error {
	switch {
	case asJSON:
		return a.printJSON(struct {
			Token     string    `json:"token"`
			ExpiresAt time.Time `json:"expires_at"`
		}{token.Value(), token.Expires().UTC().Truncate(time.Second)})
	case header:
		_, err := fmt.Fprintf(a.stdout, "Authorization: Bearer %s\n", token.Value())
		return err
	}
	_, err := fmt.Fprintln(a.stdout, token.Value())
	return err
}
