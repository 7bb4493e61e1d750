package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// maxSilence is the time in which the server must begin to answer a GET or HEAD request.
// The reply to another request may take as long as an upload or a model needs.
const maxSilence = time.Minute

var errSilent = &refusal{http.StatusGatewayTimeout, "the server did not answer within " + maxSilence.String()}

// A watch ends requests that the server does not answer. It looks at all of them now and
// then, because a timer for each request wakes the process and costs a tenth of its time.
type watch struct {
	mu      sync.Mutex
	waiting map[*wait]struct{}
}

// A wait is the time of one request.
type wait struct {
	since atomic.Int64 // when the server got it, in Unix nanoseconds; 0 before that and after the reply
	end   context.CancelCauseFunc
}

// run looks after the requests until ctx ends.
func (w *watch) run(ctx context.Context) {
	ticks := time.NewTicker(maxSilence / 10)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			w.endSilent(time.Now().Add(-maxSilence).UnixNano())
		}
	}
}

// endSilent ends the requests that the server got before a time.
func (w *watch) endSilent(before int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for r := range w.waiting {
		if since := r.since.Load(); since != 0 && since < before {
			r.end(errSilent)
		}
	}
}

// add returns req with a context that ends if the server is silent after it has got the
// request. The time before does not count, because a person may have to unlock the key.
// Call stop after the reply.
func (w *watch) add(req *http.Request) (watched *http.Request, stop func()) {
	c, ok := req.Context().Value(clientRequestKey{}).(clientRequest)
	if !ok || !isRead(req.Method) {
		return req, func() {}
	}
	r := &wait{end: c.end}
	w.mu.Lock()
	if w.waiting == nil {
		w.waiting = map[*wait]struct{}{}
	}
	w.waiting[r] = struct{}{}
	w.mu.Unlock()
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			WroteRequest:         func(httptrace.WroteRequestInfo) { r.since.Store(time.Now().UnixNano()) },
			GotFirstResponseByte: func() { r.since.Store(0) },
		})), func() {
			w.mu.Lock()
			delete(w.waiting, r)
			w.mu.Unlock()
		}
}
