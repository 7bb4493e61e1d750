package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

const (
	// checkTimeout bounds each check. A store may take three seconds to say that
	// it does not answer, and a passphrase several to unlock its key.
	checkTimeout = 15 * time.Second

	// checkGrace lets a check that notices its end say what it was waiting for.
	checkGrace = 500 * time.Millisecond
)

func (a *app) doctorCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [URL]",
		Short: "Find out what is wrong on this machine, and what to do",
		Long: `Check the configuration, every store of keys, and the keys that would be used;
with a URL also its server: the clock, the challenge that it sends, and whether
that may be answered.

Nothing is asked, changed or sent but one request to URL without a signature. It
fails (exit code 1) if there is a problem; a warning is none.`,
		Example: "  countersign doctor\n  countersign doctor https://registry.example.com",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.doctor(cmd.Context(), args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as an object, as docs/doctor.md describes it")
	return cmd
}

// A state is how bad a finding is.
type state string

const (
	stateOK      state = "ok"
	stateNote    state = "note"    // not there, and not missed
	stateWarning state = "warning" // it may work all the same
	stateProblem state = "problem"
)

// A finding is what a check has seen. Its JSON form is documented in
// docs/doctor.md and does not change.
type finding struct {
	State state  `json:"state"`
	Check string `json:"check"`
	About string `json:"about,omitempty"` // which one, where there are several
	Seen  string `json:"seen"`
	Do    string `json:"do,omitempty"`
}

// A check looks at one thing. It asks nobody.
type check struct {
	name, about string
	run         func(context.Context) []finding
}

// A doctor is what the checks go by.
type doctor struct {
	config   *config.Config
	backends backends.Set // that ask nobody
	query    config.Query
	target   string // URL of a server, or ""
	canAsk   bool   // whether a key that is locked can be unlocked when it is used
}

func (a *app) doctor(ctx context.Context, args []string, asJSON bool) error {
	query, err := a.query(args)
	if err != nil {
		return err
	}
	d := &doctor{query: query, canAsk: a.terminal.IsPresent()}
	if len(args) > 0 {
		d.target = args[0]
	}
	found, checks := a.prepare(d)
	found = append(found, examine(ctx, checks)...)
	problems := count(found, stateProblem)
	if asJSON {
		err = a.printJSON(struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{problems == 0, found})
	} else {
		err = a.printFindings(found)
	}
	if problems > 0 {
		return fmt.Errorf("%s found", plural(problems, "problem"))
	}
	return err
}

// prepare reads the configuration and returns what there is to check. Without
// knowing which keys are meant, that is the stores.
func (a *app) prepare(d *doctor) ([]finding, []check) {
	loaded, found := a.configFindings()
	if loaded == nil {
		d.backends = a.quietBackends()
		return found, d.storeChecks()
	}
	d.config, d.backends = loaded, a.unlockingBackends()
	return found, slices.Concat(d.storeChecks(), d.keyChecks(), d.serverChecks())
}

// examine makes all checks at once, and returns the findings in their order.
func examine(ctx context.Context, checks []check) []finding {
	results := make([][]finding, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { results[i] = c.bounded(ctx) })
	}
	all.Wait()
	return slices.Concat(results...)
}

// bounded returns when the check returns, or a little after its time is up: a
// check that notices the end of its time says what it waited for.
func (c check) bounded(ctx context.Context) []finding {
	limited, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	patient, cancel := context.WithTimeout(ctx, checkTimeout+checkGrace)
	defer cancel()
	found, err := signer.Await(patient, func() ([]finding, error) { return c.run(limited), nil })
	switch {
	case err != nil && patient.Err() != nil:
		return []finding{c.failed(stateProblem, errors.New("no answer in time"))}
	case err != nil:
		return []finding{c.failed(stateProblem, err)} // a panic
	}
	return found
}
