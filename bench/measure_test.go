package main

import (
	"flag"
	"math"
	"runtime"
	"slices"
	"strconv"
	"testing"
)

// rounds is how often everything is measured. In a round all entries have their
// turn one after the other, so that what else the machine does hits all alike.
const rounds = 25

// A measurement is the time that an entry took in each round.
type measurement struct {
	entry
	ns     []float64 // for one operation
	allocs int64
	bytes  int64
}

// measure measures how long one processor computes. With more processors, the
// collector would compute more, for want of other work.
func (c contest) measure(t *testing.T) []measurement {
	return c.measureWith(t, 1, func(r testing.BenchmarkResult) float64 { return r.Extra[cpuUnit] })
}

// measureWith measures with so many processors. The function ns takes the time of one
// operation from a result.
func (c contest) measureWith(t *testing.T, processors int, ns func(testing.BenchmarkResult) float64) []measurement {
	t.Helper()
	if err := flag.Set("test.benchtime", "60ms"); err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
	all := make([]measurement, len(c.entries))
	for round := range rounds {
		for turn := range c.entries {
			i := (round + turn) % len(all) // each goes first at times, when memory is cold
			e := c.entries[i]
			r := testing.Benchmark(e.run)
			if r.N == 0 {
				t.Fatalf("%s: %s failed", c.name, e.name)
			}
			m := &all[i]
			m.entry, m.allocs, m.bytes = e, r.AllocsPerOp(), r.AllocedBytesPerOp()
			m.ns = append(m.ns, ns(r))
		}
	}
	return all
}

func find(all []measurement, name string) measurement {
	return all[slices.IndexFunc(all, func(m measurement) bool { return m.name == name })]
}

func (m measurement) median() float64 { return median(m.ns) }

// added is the time beyond that of base, in each round.
func (m measurement) added(base measurement) measurement {
	m.ns = slices.Clone(m.ns)
	for i := range m.ns {
		m.ns[i] -= base.ns[i]
	}
	m.allocs -= base.allocs
	m.bytes -= base.bytes
	return m
}

// over is the median of the ratios to base in the same round.
func (m measurement) over(base measurement) float64 {
	ratios := slices.Clone(m.ns)
	for i := range ratios {
		ratios[i] /= base.ns[i]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// significant prints three significant digits.
func significant(f float64) string {
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(f)))))
	if f == 0 || digits > 6 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}
