package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/gate"
)

func (a *app) serveCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve clients until SIGTERM",
		Long: `Serve clients until SIGTERM or SIGINT. Then requests that run may end.

Changes of keys, grants and certificates are in force within a second, and at once after
SIGHUP, which also opens the audit log again. Each decision is a line of JSON on standard
output, or in the file that the configuration names; messages are on standard error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
}

func (a *app) serve(ctx context.Context) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.stderr, nil))
	g, err := gate.New(c, gate.Options{Keys: a.keys(), Log: log, Decisions: a.stdout})
	if err != nil {
		return err
	}
	var listeners []net.Listener
	for _, address := range c.Listen {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return errors.Join(err, closeAll(listeners))
		}
		listeners = append(listeners, l)
		log.Info("listening", "address", l.Addr().String())
	}
	var admin net.Listener
	if c.Admin != "" {
		if admin, err = net.Listen("tcp", c.Admin); err != nil {
			return errors.Join(err, closeAll(listeners))
		}
		log.Info("listening for the operator", "address", admin.Addr().String())
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { g.Watch(ctx, again) })
	if admin != nil {
		tasks.Go(func() {
			if err := g.ServeAdmin(ctx, admin); err != nil {
				log.Error("the address for the operator does not answer any more", "error", err)
			}
		})
	}
	defer tasks.Wait()
	defer cancel()
	if err := g.Serve(ctx, listeners...); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	log.Info("stopped")
	return nil
}

func closeAll(listeners []net.Listener) error {
	var all []error
	for _, l := range listeners {
		all = append(all, l.Close())
	}
	return errors.Join(all...)
}
