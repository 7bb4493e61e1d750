package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"
)

// A tally counts requests and changes by kind. It is safe for concurrent use.
type tally struct {
	mu                        sync.Mutex
	honest, dishonest, change counts
}

// counts are in the order of the first event of each kind.
type counts struct{ all []*count }

type count struct {
	kind    string
	n       int
	wrong   int // honest and refused, or dishonest and granted
	slowest time.Duration
	first   error // of those that are wrong
}

func (c *counts) of(kind string) *count {
	for _, one := range c.all {
		if one.kind == kind {
			return one
		}
	}
	one := &count{kind: kind}
	c.all = append(c.all, one)
	return one
}

func (t *tally) add(to *counts, kind string, took time.Duration, wrong error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := to.of(kind)
	c.n++
	c.slowest = max(c.slowest, took)
	if wrong != nil {
		c.wrong++
		if c.first == nil {
			c.first = wrong
		}
	}
}

// sent counts a request of an honest client, which must be granted.
func (t *tally) sent(kind string, took time.Duration, err error) { t.add(&t.honest, kind, took, err) }

// tried counts a dishonest request, which the gate must refuse.
func (t *tally) tried(kind string, err error) {
	switch {
	case isRefusal(err):
		err = nil
	case err == nil:
		err = errors.New("granted")
	}
	t.add(&t.dishonest, kind, 0, err)
}

// changed counts a change. A request that was sent last after it found the state before.
func (t *tally) changed(kind string, last time.Duration) { t.add(&t.change, kind, last, nil) }

func (t *tally) print(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HONEST REQUEST\tSENT\tREFUSED\tSLOWEST")
	for _, c := range t.honest.all {
		fmt.Fprintf(w, "%s\t%d\t%d\t%v\n", c.kind, c.n, c.wrong, c.slowest.Round(time.Millisecond))
	}
	fmt.Fprintln(w, "\nDISHONEST REQUEST\tSENT\tNOT REFUSED")
	for _, c := range t.dishonest.all {
		fmt.Fprintf(w, "%s\t%d\t%d\n", c.kind, c.n, c.wrong)
	}
	fmt.Fprintln(w, "\nCHANGE\tTIMES\tSTATE BEFORE LAST SEEN AFTER")
	for _, c := range t.change.all {
		fmt.Fprintf(w, "%s\t%d\t%v\n", c.kind, c.n, c.slowest.Round(time.Millisecond))
	}
	w.Flush()
}

// check returns each expectation that was not met.
func (t *tally) check(inForce time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []error
	for _, c := range t.honest.all {
		if c.wrong > 0 {
			all = append(all, fmt.Errorf("%s: %d of %d requests were refused, the first: %w", c.kind, c.wrong, c.n, c.first))
		}
	}
	for _, c := range t.dishonest.all {
		if c.wrong > 0 {
			all = append(all, fmt.Errorf("%s: %d of %d requests were not refused, the first: %w", c.kind, c.wrong, c.n, c.first))
		}
	}
	for _, c := range t.change.all {
		if c.slowest > inForce {
			all = append(all, fmt.Errorf("%s: the state before was seen after %v, and %v are allowed", c.kind, c.slowest, inForce))
		}
	}
	return errors.Join(all...)
}
