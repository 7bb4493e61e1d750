package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"
)

// TestSilence counts the time after the request was written only, because a person may
// have to unlock the key before.
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		method string
		silent bool // after the request was written
		ends   bool
	}{
		{http.MethodGet, true, true},
		{http.MethodHead, true, true},
		{http.MethodGet, false, false},
		{http.MethodPost, true, false},
		{http.MethodPut, true, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			r := httptest.NewRequest(c.method, "/v2/", nil)
			ctx = context.WithValue(ctx, clientRequestKey{}, clientRequest{r, cancel})
			var w watch
			go w.run(t.Context())
			req, stop := w.add(r.WithContext(ctx))
			time.Sleep(time.Hour) // a person unlocks the key
			if err := context.Cause(ctx); err != nil {
				t.Fatalf("%s: ended before the request was written: %v", c.method, err)
			}
			trace := httptrace.ContextClientTrace(req.Context())
			if trace != nil {
				trace.WroteRequest(httptrace.WroteRequestInfo{})
				if !c.silent {
					trace.GotFirstResponseByte()
				}
			}
			time.Sleep(2 * maxSilence)
			if ended := context.Cause(ctx) == errSilent; ended != c.ends {
				t.Errorf("%s, silent %v: ended %v, want %v", c.method, c.silent, ended, c.ends)
			}
			stop()
			cancel(nil)
			if len(w.waiting) != 0 {
				t.Errorf("%s: the request is still watched", c.method)
			}
		})
	}
}
