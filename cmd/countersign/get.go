package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/download"
	"github.com/countersign/countersign/internal/httpclient"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer"
)

// getFlags holds the flags of the command get.
type getFlags struct {
	output string   // --output
	resume bool     // --continue
	header []string // --header
}

func (a *app) getCmd() *cobra.Command {
	var flags getFlags
	cmd := &cobra.Command{
		Use:        "get URL",
		SuggestFor: []string{"download", "fetch", "pull", "curl", "wget"},
		Short:      "Get URL, answering its challenge, and write the content to stdout or a file",
		Long: `Get URL, answer its challenge, and write the content to stdout or to a file.

If the URL ends with a digest, or if the server names one in Docker-Content-Digest,
the content is compared with it. With --output, the content is in FILE.partial until
it is complete and has its digest. If a download fails, the same command with
--continue gets the rest.`,
		Example: "  countersign get https://registry.ollama.ai/v2/library/llama3/manifests/latest\n" +
			"  countersign get -o model.bin --continue https://registry.ollama.ai/v2/library/llama3/blobs/sha256:...",
		Args: checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return a.get(cmd.Context(), args[0], flags) },
	}
	cmd.Flags().StringVarP(&flags.output, "output", "o", "", "write the content to `FILE`, or with - to stdout")
	cmd.Flags().BoolVar(&flags.resume, "continue", false, "get only the part that FILE.partial does not have")
	cmd.Flags().StringArrayVarP(&flags.header, "header", "H", nil, "send this header `FIELD`, such as \"Accept: application/json\", to the origin of URL")
	return cmd
}

func (a *app) get(ctx context.Context, target string, flags getFlags) error {
	u, err := parseURL(target)
	if err != nil {
		return err
	}
	header, err := download.ParseHeader(flags.header)
	if err != nil {
		return usageError{fmt.Errorf("--header: %w", err)}
	}
	toStdout := flags.output == "" || flags.output == "-"
	if flags.resume && toStdout {
		return usageError{errors.New("--continue needs --output FILE: stdout keeps no part")}
	}
	answering, err := a.client()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &challenge.Transport{Client: answering}, CheckRedirect: download.CheckRedirect(header)}
	progress := &terminal.Transfer{Out: a.stderr}
	defer progress.End()
	d := &download.Download{
		Digest: download.DigestOfURL(u),
		Request: func(ctx context.Context, more http.Header) (*http.Response, error) {
			return requestContent(ctx, client, target, header, more)
		},
	}
	if !a.quiet && terminal.Is(a.stderr) && !(toStdout && terminal.Is(a.stdout)) {
		d.Progress = progress.Show
	}
	if toStdout {
		return a.getToStdout(ctx, d, flags.output == "-")
	}
	err = d.ToFile(ctx, flags.output, flags.resume)
	if incomplete, ok := errors.AsType[*download.IncompleteError](err); ok {
		err = fmt.Errorf("%w: %s has the first %d bytes", err, incomplete.Partial, incomplete.Size)
		return signer.WithHint(err, signer.Hint{Do: "run the same command with --continue"})
	}
	return err
}

// getToStdout refuses content for a terminal that is not text, unless any is true.
func (a *app) getToStdout(ctx context.Context, d *download.Download, any bool) error {
	if any || !terminal.Is(a.stdout) {
		return d.ToWriter(ctx, a.stdout)
	}
	text := &printable.Writer{W: a.stdout}
	err := errors.Join(d.ToWriter(ctx, text), text.Close())
	if errors.Is(err, printable.ErrNotText) {
		return signer.WithHint(printable.ErrNotText, signer.Hint{Do: "write it to a file with --output FILE"})
	}
	return err
}

// manifestTypes are all types of manifests and of lists of them. Without the field, a
// registry has only the manifests of Docker (CNCF distribution answers 404 for others).
const manifestTypes = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, */*"

// requestContent sends a GET with two sets of header fields.
func requestContent(ctx context.Context, client *http.Client, target string, header, more http.Header) (*http.Response, error) {
	req, err := newRequest(ctx, target)
	if err != nil {
		return nil, err
	}
	// A digest is that of the content without a coding such as gzip.
	req.Header.Set("Accept-Encoding", "identity")
	if path := req.URL.Path; strings.HasPrefix(path, "/v2/") && strings.Contains(path, "/manifests/") {
		req.Header.Set("Accept", manifestTypes)
	}
	for _, h := range []http.Header{header, more} {
		maps.Copy(req.Header, h)
	}
	resp, err := send(client, req)
	if err != nil {
		return nil, err
	}
	ranged := more.Get("Range") != ""
	switch {
	case resp.StatusCode == http.StatusOK:
		return resp, nil
	case ranged && (resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable):
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, httpclient.StatusError(resp)
}

// getURL sends a GET to a URL that a person typed.
func getURL(ctx context.Context, client *http.Client, target string) (*http.Response, error) {
	req, err := newRequest(ctx, target)
	if err != nil {
		return nil, err
	}
	return send(client, req)
}

func newRequest(ctx context.Context, target string) (*http.Request, error) {
	if _, err := parseURL(target); err != nil {
		return nil, err
	}
	req, err := httpclient.NewRequest(ctx, http.MethodGet, target)
	if err != nil {
		return nil, usageError{err}
	}
	return req, nil
}

// send sends a request for a person, whose errors name the URL once.
func send(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req)
	if e, ok := errors.AsType[*challenge.Error](err); ok {
		return nil, e // it names the URL
	}
	if e, ok := errors.AsType[*url.Error](err); ok && e.URL != req.URL.Redacted() {
		e.URL, _, _ = strings.Cut(e.URL, "?") // the query of a redirect may be a secret
	}
	return resp, err
}

// parseURL parses a URL that a person typed. The error repeats it only if it is the
// name of a host with a path, because it may be a key in the wrong place.
func parseURL(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" {
		return u, nil
	}
	if guess, err := url.Parse("https://" + target); err == nil && hostName.MatchString(guess.Host) {
		return nil, usageError{fmt.Errorf("the URL has no scheme: did you mean https://%s%s?", guess.Host, guess.EscapedPath())}
	}
	return nil, usageError{errors.New("not an http or https URL: want https://HOST/PATH")}
}

// hostName matches localhost and names with a dot, with or without a port.
var hostName = regexp.MustCompile(`^(localhost|[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+)(:[0-9]+)?$`)
