// Package metrics counts the decisions of a gate for Prometheus.
package metrics

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/countersign/countersign/gate/audit"
)

// Metrics are the metrics of one gate. They are safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
}

// New returns metrics. The functions return the present numbers of enrolled keys, of
// lines of the authorized keys that count for nothing, and of files that cannot be used
// as they are now.
func New(keys, disabledLines, failingFiles func() int) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersignd_decisions_total",
			Help: "Decisions about requests, by site, result and status of the reply (0: that of the server behind the gate).",
		}, []string{"site", "granted", "status"}),
	}
	m.registry.MustRegister(m.decisions, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, g := range []struct {
		name, help string
		number     func() int
	}{
		{"countersignd_keys", "Enrolled keys.", keys},
		{"countersignd_disabled_key_lines", "Lines of the authorized keys with a mistake, which count for nothing.", disabledLines},
		{"countersignd_failing_files", "Files that cannot be used as they are now.", failingFiles},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return float64(g.number()) }))
	}
	return m
}

// Observe counts a decision.
func (m *Metrics) Observe(d audit.Decision) {
	m.decisions.WithLabelValues(d.Site, strconv.FormatBool(d.Granted), strconv.Itoa(d.Status)).Inc()
}

// Handler returns the handler of /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
