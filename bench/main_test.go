package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"testing"

	"github.com/containerd/log"

	"github.com/countersign/countersign/internal/plugintest"
)

// TestMain keeps the peers from asking a name server and from logging what
// fails here on purpose. Most tests wait most of the time: all may do so at once.
func TestMain(m *testing.M) {
	plugintest.Play()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server in tests")
	}}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	flag.Parse()
	err := errors.Join(log.SetLevel("panic"), flag.Set("test.parallel", "100"))
	if err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
