package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/agentserver"
	"github.com/countersign/countersign/internal/httpclient"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/proxy"
	"github.com/countersign/countersign/signer"
)

// proxyFlags are the flags of the command proxy.
type proxyFlags struct {
	to        string
	port      uint16
	socket    string
	tokenFile string
	sign      bool
	allow     []string
	origins   []string
	env       string
}

func (a *app) proxyCmd() *cobra.Command {
	var f proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy --to URL",
		Short: "Let programs that cannot sign use a registry or an Ollama server",
		Long: `Pass requests of programs on this machine on to the server at URL, answer its
challenges with the key that the configuration chooses, and print the address for the
programs. After -- it runs a command that finds the address in OLLAMA_HOST, and ends
with it.

Requests below /v2/ (registries), /api/ and /v1/ (Ollama) are passed on. Without --allow,
they may read but not change the content of the server. Other users of this machine and
web pages are refused. Each signature is a line on stderr.`,
		Example: `  countersign proxy --to https://registry.example.com --port 5000
  countersign proxy --to https://ollama.example.com --sign -- ollama list`,
		Args: commandArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return a.proxy(cmd.Context(), args, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "the `URL` of the server")
	flags.Uint16Var(&f.port, "port", 0, "listen on this `PORT` of 127.0.0.1 (0: any free port)")
	flags.StringVar(&f.socket, "socket", "", "listen on a socket file at this `PATH` instead of a port")
	flags.StringVar(&f.tokenFile, "token-file", "", "want the token in `FILE` in each request; a new file gets a random token")
	flags.BoolVar(&f.sign, "sign", false, "sign each request to /api/ and /v1/, as Ollama's own client does with OLLAMA_AUTH=1")
	flags.StringSliceVar(&f.allow, "allow", nil, "also allow the `OPERATIONS` push and delete")
	flags.StringArrayVar(&f.origins, "allow-origin", nil, "let pages of this `ORIGIN` use the proxy, such as http://localhost:3000")
	flags.StringVar(&f.env, "env", "OLLAMA_HOST", "give the command the address in the variable `NAME`")
	cmd.MarkFlagsMutuallyExclusive("port", "socket")
	return cmd
}

// commandArguments are a command after --, or nothing.
func commandArguments(cmd *cobra.Command, args []string) error {
	switch n := cmd.ArgsLenAtDash(); {
	case n < 0 && len(args) == 0, n == 0 && len(args) > 0:
		return nil
	case n == 0:
		return errors.New("no command after --")
	}
	return errors.New("too many arguments: a command stands after --")
}

func (a *app) proxy(ctx context.Context, command []string, f proxyFlags) error {
	p, err := a.newProxy(f)
	if err != nil {
		return err
	}
	l, address, err := f.listen(ctx)
	if err != nil {
		return err
	}
	if len(command) > 0 {
		return a.runBeside(ctx, command, []string{f.env + "=" + address}, func(ctx context.Context) error { return p.Serve(ctx, l) })
	}
	if _, err := fmt.Fprintln(a.stdout, address); err != nil {
		l.Close()
		return err
	}
	err = p.Serve(ctx, l)
	if err == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err() // --timeout
	}
	return err
}

func (a *app) newProxy(f proxyFlags) (*proxy.Proxy, error) {
	if f.to == "" {
		return nil, usageError{errors.New("--to is missing: name the server, such as --to https://registry.example.com")}
	}
	upstream, err := parseURL(f.to)
	if err != nil {
		return nil, err
	}
	p := &proxy.Proxy{Upstream: upstream, Sign: f.sign, AllowOrigins: f.origins, Log: slog.New(slog.NewTextHandler(a.notes(), nil))}
	for _, operation := range f.allow {
		switch operation {
		case "push":
			p.AllowPush = true
		case "delete":
			p.AllowDelete = true
		default:
			return nil, usageError{errors.New("--allow: want push, delete or push,delete")}
		}
	}
	if p.Client, err = a.client(); err != nil {
		return nil, err
	}
	if p.Client.Base == nil { // the default keeps two connections to a server
		p.Client.Base = httpclient.NewTransport()
	}
	if p.Token, err = f.token(); err != nil {
		return nil, err
	}
	return p, p.Check()
}

// listen returns the listener and its address for clients.
func (f proxyFlags) listen(ctx context.Context) (net.Listener, string, error) {
	if f.socket != "" {
		path, err := filepath.Abs(f.socket)
		if err != nil {
			return nil, "", err
		}
		l, err := agentserver.Listen(ctx, path)
		return l, "unix://" + path, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(f.port))))
	if err != nil {
		return nil, "", signer.WithHint(err, signer.Hint{Do: "choose another port with --port, or leave it out"})
	}
	return l, "http://" + l.Addr().String(), nil
}

// token returns the token that clients must send, or "" if none is needed.
func (f proxyFlags) token() (string, error) {
	if f.tokenFile == "" {
		if f.socket == "" && !proxy.KnowsUsers {
			return "", usageError{errors.New("this system does not tell which user connects to a port: give --token-file FILE, or --socket PATH")}
		}
		return "", nil
	}
	file, err := os.OpenFile(f.tokenFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return readTokenFile(f.tokenFile)
	}
	if err != nil {
		return "", err
	}
	token := rand.Text()
	_, err = fmt.Fprintln(file, token)
	return token, errors.Join(err, file.Close())
}

func readTokenFile(path string) (string, error) {
	if err := access.CheckWriters("token file", path); err != nil { // another user may know the token
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", printable.Error(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", printable.Error(err)
	}
	if err := access.CheckReaders("token file", path, info); err != nil {
		return "", err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
		return "", fmt.Errorf("%w: each user can read the token file %s", signer.ErrInsecure, printable.Text(path))
	}
	data, err := io.ReadAll(file)
	token := strings.TrimSpace(string(data))
	if err == nil && token == "" {
		return "", fmt.Errorf("token file %s is empty: remove it, and a new one gets a random token", printable.Text(path))
	}
	return token, err
}
