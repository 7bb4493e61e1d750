package site

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/forward"
)

// Running has the requests of proved keys that are passed on now, so that they end when
// their keys may not be used any more. The zero value is ready to use. It is safe for
// concurrent use.
type Running struct {
	mu  sync.Mutex
	all map[*passage]bool
}

// A passage is a request that is passed on.
type passage struct {
	call     *Call
	decision audit.Decision
	end      context.CancelCauseFunc

	once sync.Once
}

// Check ends the requests whose keys are not enrolled any more, are denied, have expired
// or may not be used from their address any more.
func (r *Running) Check() {
	r.mu.Lock()
	all := slices.Collect(maps.Keys(r.all))
	r.mu.Unlock()
	for _, p := range all {
		p.check()
	}
}

func (r *Running) add(p *passage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[*passage]bool{}
	}
	r.all[p] = true
}

func (r *Running) remove(p *passage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, p)
}

func (p *passage) check() {
	c := p.call
	_, err := c.Site.Keys.Find(c.entry.Key, c.Request.Address, c.Site.Now())
	if err == nil {
		return
	}
	p.once.Do(func() {
		p.decision.Granted, p.decision.Status, p.decision.Reason = false, http.StatusUnauthorized, "the request was ended: "+err.Error()
		c.Site.Record(p.decision)
		p.end(fmt.Errorf("%w: %w", forward.ErrEnded, err))
		// The server would wait for a part of the body that the client never sends.
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Unix(1, 0)) // a w without it has no connection
	})
}

// Pass records that the request is granted, and passes it on to proxy. When the key may
// not be used any more, the request ends in the middle.
func (c *Call) Pass(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	c.Grant(0)
	if c.entry.Key == nil {
		proxy.ServeHTTP(w, r)
		return
	}
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	p := &passage{call: c, decision: c.decision, end: end}
	defer p.once.Do(func() {}) // the connection belongs to the next request then
	c.Site.Running.add(p)
	defer c.Site.Running.remove(p)
	p.check() // the key may have been removed since it was looked up
	proxy.ServeHTTP(w, r.WithContext(ctx))
}
