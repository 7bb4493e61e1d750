//go:build !man

// Command countersign answers HTTP authentication challenges with a private key
// that stays where it is.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/countersign/countersign/internal/terminal"
)

func main() {
	os.Exit(run())
}

func run() int {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, terminal: terminal.New(os.Stderr)}
	defer a.terminal.Close()
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	defer stop()
	context.AfterFunc(ctx, func() {
		a.terminal.Close()
		stop() // a second signal ends the program at once
	})
	return a.execute(ctx, os.Args[1:])
}

// endSignals returns the signals that end the program in good order. SIGHUP is
// none of them if the program was started to ignore it, as nohup does.
func endSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}
