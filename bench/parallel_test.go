package main

import (
	"runtime"
	"testing"
)

// goroutines is the number of callers that share one client in the table "Request,
// several callers".
const goroutines = 8

// together measures requests of several goroutines that share one client.
func (r requester) together(b *testing.B) {
	send := r.prepare(b)
	b.ReportAllocs()
	b.SetParallelism(goroutines / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := send(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkRequestTogether(b *testing.B) {
	contest{entries: eachRequester(requester.together)}.benchmark(b)
}

// elapsed is the time that passes, in which several processors may compute.
func elapsed(r testing.BenchmarkResult) float64 { return float64(r.T.Nanoseconds()) / float64(r.N) }

// togetherTable has a row for each client, with one processor and with two.
func togetherTable(t *testing.T) table {
	c := contest{"Request, several callers", eachRequester(requester.together)}
	one, two := c.measureWith(t, 1, elapsed), c.measureWith(t, 2, elapsed)
	all := table{head: []string{"", "ns, 1 processor", "ratio", "ns, 2 processors", "ratio", "2 processors to 1"}}
	for i, m := range one {
		all.rows = append(all.rows, []string{
			mark(m.name, m.name == ours),
			significant(m.median()), significant(m.over(find(one, ours))),
			significant(two[i].median()), significant(two[i].over(find(two, ours))),
			significant(two[i].over(m)),
		})
	}
	return all
}
