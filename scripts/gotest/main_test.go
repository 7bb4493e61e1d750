package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The events are those of a run of "go test -json", shortened.
const events = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"    good_test.go:3: a log\n"}
{"Action":"pass","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"a","Test":"TestBad","Output":"    bad_test.go:3: wrong\n"}
{"Action":"output","Package":"a","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"a","Test":"TestBad"}
{"Action":"output","Package":"a","Test":"TestAgent/z","Output":"    agent_test.go:3: SKIPPED: ssh-agent is missing: install openssh-client\n"}
{"Action":"output","Package":"a","Test":"TestAgent/z","Output":"    --- SKIP: TestAgent/z (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestAgent/z"}
{"Action":"output","Package":"b","Test":"TestKey","Output":"    key_test.go:3: ssh-agent is missing: install openssh-client\n"}
{"Action":"skip","Package":"b","Test":"TestKey"}
{"Action":"output","Package":"b","Test":"TestScript","Output":"        > [!exec:x] skip 'SKIPPED: needs x'\n"}
{"Action":"skip","Package":"b","Test":"TestScript"}
{"Action":"skip","Package":"b","Test":"TestSilent"}
{"Action":"output","Package":"a","Output":"FAIL\n"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t0.004s\n"}
{"Action":"fail","Package":"a"}
{"Action":"output","Package":"b","Output":"PASS\n"}
{"Action":"output","Package":"b","Output":"ok  \tb\t0.004s\n"}
{"Action":"pass","Package":"b"}
{"Action":"output","Package":"c","Output":"?   \tc\t[no test files]\n"}
{"Action":"skip","Package":"c"}
go: a message
`

const shown = `=== RUN   TestBad
    bad_test.go:3: wrong
--- FAIL: TestBad (0.00s)
FAIL
FAIL	a	0.004s
ok  	b	0.004s
?   	c	[no test files]
go: a message

Skipped: 4 tests, for these reasons:
  needs x
    b: TestScript
  no reason given
    b: TestSilent
  ssh-agent is missing: install openssh-client
    a: TestAgent/z
    b: TestKey
`

func TestReport(t *testing.T) {
	for _, tt := range []struct{ events, want string }{{events, shown}, {"", "\nNo test was skipped.\n"}} {
		var out strings.Builder
		r := &report{out: &out, output: map[test][]string{}, skipped: map[string][]test{}}
		r.read(strings.NewReader(tt.events))
		r.printSkipped()
		if diff := cmp.Diff(tt.want, out.String()); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
	}
}
