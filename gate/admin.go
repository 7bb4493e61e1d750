package gate

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign/countersign/gate/metrics"
	"github.com/countersign/countersign/internal/printable"
)

// readyTimeout bounds the questions that /readyz asks.
const readyTimeout = 5 * time.Second

// AdminHandler returns the handler of /metrics, /healthz and /readyz. It is for the
// operator's own machines: nobody has to sign there.
func (g *Gate) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", g.metrics.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := g.Ready(ctx); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, printable.Lines(err.Error()))
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

func (g *Gate) newMetrics() *metrics.Metrics {
	return metrics.New(
		func() int { return len(g.keys.Keys().Entries) },
		func() int { return len(g.keys.Keys().Mistakes) },
		func() (n int) {
			for _, f := range g.files {
				if f.Err() != nil {
					n++
				}
			}
			return n
		},
	)
}
