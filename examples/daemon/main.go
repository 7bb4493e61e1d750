// Command daemon is a service without a person: every minute it looks which manifest a
// registry has for a tag, and logs each change. Copy it as the start of a service that
// pulls.
//
// The key is chosen as docs/headless.md describes it, for example by the variable
// OLLAMA_KEY_FILE. When the file of the key is replaced, the next request uses the new key,
// without a restart.
//
//	daemon -listen 127.0.0.1:8080 https://registry.ollama.ai/v2/library/llama3/manifests/latest
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

const (
	requestTime = 30 * time.Second // for one request to the registry
	stopTime    = 10 * time.Second // for requests that run when the service stops
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(ctx, logger, os.Args[1:]); err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, logger *slog.Logger, args []string) error {
	flags := flag.NewFlagSet("daemon", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "the `ADDRESS` of the health check")
	every := flags.Duration("every", time.Minute, "the time between two looks")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *every <= 0 {
		return errors.New("give one URL of a manifest, and -every above 0")
	}
	client, err := newClient(logger)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	logger.Info("started", "url", flags.Arg(0), "health", "http://"+listener.Addr().String()+"/healthz")
	s := &service{client: client, url: flags.Arg(0), every: *every, log: logger}
	return s.run(ctx, listener)
}

// newClient returns the client for all requests, so that they share keys and tokens.
func newClient(logger *slog.Logger) (*http.Client, error) {
	c, err := config.Load()
	if err != nil {
		return nil, err
	}
	keys := c.Backends() // nobody is asked: a locked key is an error
	keys.Env.Unset = true
	client := c.Client(keys, config.Here(""))
	client.Trace = challenge.LogTrace(logger) // warns of failures and of a changed key
	return &http.Client{Transport: &challenge.Transport{Client: client}}, nil
}

// A service looks at one URL again and again.
type service struct {
	client *http.Client
	url    string
	every  time.Duration
	log    *slog.Logger

	mu     sync.Mutex
	last   time.Time // of the last look that succeeded; zero before the first
	err    error     // of the last look
	digest string
}

// run works until ctx ends. Then it finishes the requests to the health check, and the
// look that runs is cancelled.
func (s *service) run(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: requestTime}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		s.look(ctx)
		select {
		case <-ticker.C:
		case err := <-failed:
			return fmt.Errorf("health check: %w", err)
		case <-ctx.Done():
			s.log.Info("stopping")
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
			defer cancel()
			return server.Shutdown(ctx)
		}
	}
}

// look asks for the manifest and logs a new one, and a failure with its remedy.
func (s *service) look(ctx context.Context) {
	digest, err := s.fetch(ctx)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if err != nil {
		hint, _ := signer.HintOf(err)
		s.log.Error("look failed", "error", err, "remedy", hint.Do)
		return
	}
	s.last = time.Now()
	if digest != s.digest {
		s.log.Info("new manifest", "digest", digest, "before", s.digest)
		s.digest = digest
	}
}

func (s *service) fetch(ctx context.Context) (digest string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.url, nil)
	if err != nil {
		return "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the registry answered %s", resp.Status)
	}
	return resp.Header.Get("Docker-Content-Digest"), nil
}

// health answers 200 while looks succeed: the last one is not older than three periods.
func (s *service) health(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.last.IsZero() && s.err == nil:
		http.Error(w, "starting", http.StatusServiceUnavailable)
	case time.Since(s.last) > 3*s.every:
		http.Error(w, "no look succeeded lately; the log has the reason", http.StatusServiceUnavailable)
	default:
		io.WriteString(w, "ok\n")
	}
}
