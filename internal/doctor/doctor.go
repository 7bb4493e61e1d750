// Package doctor finds the causes of trouble with keys on a machine, and their
// remedies. A check looks at one thing and returns findings; it never asks a
// person and changes nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

const (
	// checkTimeout is the limit for each check. A store may take three seconds to
	// report that it does not answer, and a passphrase several to unlock its key.
	checkTimeout = 15 * time.Second

	// checkGrace is the time that a check has after its limit to report the thing it
	// waited for.
	checkGrace = 500 * time.Millisecond
)

// A Machine is the subject of the checks. Config, Backends and Query must be set.
type Machine struct {
	Config    *config.Config
	ConfigErr error // why the configuration cannot be used; Config is then empty

	// Backends must not ask a person.
	Backends backends.Set

	// Query is what the choice of a key depends on. If its Registry is nil, the keys
	// for all registries are checked.
	Query config.Query

	// Server is the URL of a server to check, or nil.
	Server *url.URL

	// PersonPresent reports whether a person can unlock a locked key when it is used.
	PersonPresent bool
}

// A Check looks at one thing.
type Check interface {
	// Subject names the thing.
	Subject() Subject

	// Run returns what the check found. It ends when ctx ends.
	Run(ctx context.Context) []Finding
}

// Checks returns the checks of m in the order of their findings. If the
// configuration cannot be used, they leave out the keys and the server, because
// it is not known which keys are used.
func (m *Machine) Checks() []Check {
	checks := []Check{configurationCheck{m}, proxyCheck{m.Query.Getenv}}
	checks = append(checks, m.storeChecks()...)
	if m.ConfigErr != nil {
		return checks
	}
	checks = append(checks, m.keyChecks()...)
	checks = append(checks, m.limitChecks(m.openable(runtime.GOOS))...)
	if m.Server != nil {
		checks = append(checks, serverCheck{m})
	}
	return checks
}

// Run runs all checks at once and returns their findings in the order of the
// checks.
func Run(ctx context.Context, checks []Check) []Finding {
	results := make([][]Finding, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { results[i] = runBounded(ctx, c) })
	}
	all.Wait()
	return slices.Concat(results...)
}

// runBounded abandons a check that hangs, and reports a panic as a problem.
func runBounded(ctx context.Context, c Check) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() { done <- runContained(ctx, c) }()
	select {
	case found := <-done:
		return found
	case <-ctx.Done():
	}
	select {
	case found := <-done:
		return found
	case <-time.After(checkGrace):
		return []Finding{c.Subject().failed(Problem, errors.New("no answer in time"))}
	}
}

func runContained(ctx context.Context, c Check) []Finding {
	forever := context.WithoutCancel(ctx) // runBounded decides when to stop waiting
	found, err := signer.Await(forever, func() ([]Finding, error) { return c.Run(ctx), nil })
	if err != nil {
		return []Finding{c.Subject().failed(Problem, err)}
	}
	return found
}

// plural returns a number with a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
