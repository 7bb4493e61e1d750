package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/config"
)

// configFiles are long configuration files with n parts each. Some have a mistake
// in each part, some have none.
var configFiles = map[string]func(n int) string{
	"unknown keys":     func(n int) string { return numbered("k%d = 1\n", n) },
	"unknown sections": func(n int) string { return numbered("[k%d]\n", n) },
	"sections":         func(n int) string { return numbered("[registry.r%d]\n", n) },
	"dotted keys":      func(n int) string { return numbered("registry.r%d.insecure = true\n", n) },
	"list":             func(n int) string { return "keys = [" + strings.Repeat("\"env:A\",\n", n) + "]" },
	"inline table":     func(n int) string { return "platform = {" + numbered("k%d = 1, ", n) + "k = 1}" },
	"long key":         func(n int) string { return strings.Repeat("a.", n) + "a = 1" },
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// A file that is four times as long takes about four times as long to read. If
// each part were compared with all others, it would take 16 times as long.
func TestReadingConfigIsLinear(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for name, file := range configFiles {
		short, long := parseTime(file(5_000)), parseTime(file(20_000))
		t.Logf("%s: %v, %v", name, short, long)
		if long > 11*short {
			t.Errorf("%s: 5,000 parts take %v and 20,000 take %v", name, short, long)
		}
	}
}

// parseTime returns the shortest of several times.
func parseTime(text string) time.Duration {
	best := time.Duration(1<<63 - 1)
	for range 5 {
		runtime.GC()
		before := cpu()
		_, _ = config.Parse([]byte(text), "config.toml")
		best = min(best, cpu()-before)
	}
	return best
}
