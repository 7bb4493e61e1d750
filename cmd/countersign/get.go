package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
)

func (a *app) getCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "get URL",
		Short:   "Get URL, answering its challenge, and write the body to stdout",
		Example: "  countersign get https://registry.ollama.ai/v2/library/llama3/manifests/latest",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.get(cmd.Context(), args[0]) },
	}
}

func (a *app) get(ctx context.Context, target string) error {
	answering, err := a.client()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &challenge.Transport{Client: answering}}
	resp, err := getURL(ctx, client, target)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return statusError(resp)
	}
	if _, err := io.Copy(a.stdout, resp.Body); err != nil {
		return fmt.Errorf("reading %s: %w", resp.Request.URL.Redacted(), err)
	}
	return nil
}

// getURL sends a GET to a URL that a person typed.
func getURL(ctx context.Context, client *http.Client, target string) (*http.Response, error) {
	if err := checkURL(target); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, usageError{err}
	}
	req.Header.Set("User-Agent", "countersign")
	resp, err := client.Do(req)
	if e := (*challenge.Error)(nil); errors.As(err, &e) {
		return nil, e // it names the URL already
	}
	return resp, err
}

func checkURL(target string) error {
	u, err := url.Parse(target)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" {
		return nil
	}
	if guess, err := url.Parse("https://" + target); err == nil && guess.Host != "" && !strings.Contains(target, "://") {
		return usageError{fmt.Errorf("the URL has no scheme: did you mean %s?", guess.Redacted())}
	}
	return usageError{errors.New("not an http or https URL: want https://HOST/PATH")}
}

// statusError tells what the server said instead of sending the resource.
func statusError(resp *http.Response) error {
	err := errors.New(answered(resp))
	if text := challenge.ServerText(resp); text != "" {
		err = fmt.Errorf("%w: %q", err, text)
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return fmt.Errorf("%w: %w", challenge.ErrRejected, err)
	}
	return err
}

// answered leaves out the server's own reason phrase, which may hold anything.
func answered(resp *http.Response) string {
	return fmt.Sprintf("%s answered %d %s", resp.Request.URL.Redacted(), resp.StatusCode, http.StatusText(resp.StatusCode))
}
