// Command load sends requests of honest clients to a gate while their keys, the grants,
// the TLS certificate and the signing key of the tokens change. A registry of CNCF
// distribution behind the gate checks the tokens. The command prints a table and ends
// with the code 1 if an honest request was refused, if a dishonest one was granted, or
// if a change was in force later than a second after it was written.
//
//	go run -C gate/demo ./load -time 60s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// options of a run.
type options struct {
	time    time.Duration // how long the clients send
	rate    int           // requests per second of each loop of a client, at most
	inForce time.Duration // the longest time until a change is in force
}

func main() {
	var o options
	flag.DurationVar(&o.time, "time", 10*time.Second, "how long the clients send requests")
	flag.IntVar(&o.rate, "rate", 50, "requests per second and kind of each client, at most")
	flag.DurationVar(&o.inForce, "in-force", time.Second, "the longest time until a change is in force")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "load: want flags only")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// run loads a gate and prints the table. The error tells each expectation that was not met.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if o.time <= 0 || o.rate <= 0 || o.inForce <= 0 {
		return errors.New("-time, -rate and -in-force must be positive")
	}
	l, err := newLoad(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	fmt.Fprintf(out, "%d clients send requests to a gate at %s for %v.\n\n", len(l.users), l.stage.Origin, o.time)
	if err := l.run(ctx); err != nil {
		return err
	}
	l.tally.print(out)
	return l.tally.check(o.inForce)
}
