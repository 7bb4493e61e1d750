package main

import (
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/countersign/countersign/challenge/challengetest"
)

var report = flag.String("report", "", "measure, and write performance.md and performance.svg to this `directory`")

//go:embed performance.md.tmpl
var page string

// A summary is what the page is filled with.
type summary struct {
	Machine, Versions                        string
	Rounds, Scopes, Passes, Goroutines       int
	Parsers, Parse, Sign, Request            table
	Flows, Policies, Mirror                  table
	Together, Command, SignFile              table
	Stores                                   storeTables
	Delays                                   table
	Gate                                     gateTables
	Patience                                 string
	Proxy                                    proxyResult
	OverRaw, OllamaOverOurs                  string
	FastestLibrary, OllamaParsers            string
	OwnAllocs, OwnAdded, OrasAdded, GGCRAdds string
}

// TestReport is the run of go run.
func TestReport(t *testing.T) {
	if *report == "" {
		t.Skip("nothing to write: go run . measures and writes docs/performance.md")
	}
	r := summary{Machine: machine(), Versions: versions(t), Rounds: rounds, Scopes: scopes, Passes: passes, Goroutines: goroutines, Parsers: parserTable()}
	parse, sign, request := measureAll(t) // first, while there is little for the collector
	r.Parse = speedTable(parse, "", "ns")
	r.Sign = speedTable(sign, "", "µs")
	r.Request = speedTable(request, "added", "ns")
	r.targets(parse, sign, request)
	_, s := open(t, challengetest.Config{})
	r.Together, r.Command, r.SignFile = togetherTable(t), commandTable(t, tokenPrograms(t, resource(s))), commandTable(t, signPrograms(t))
	r.Stores, r.Delays, r.Patience = measureStores(t), delayTable(t), patience.String()
	r.Gate = measureGate(t)
	r.Proxy = measureProxy(t, bigBlob)
	r.Flows, r.Policies = flowTable(t), policyTable(t)
	r.Mirror = mirrorTable(t)

	picture := chart([]panel{
		bars("Parse a challenge", "ns", parse),
		bars("Sign a token request", "µs", sign),
		bars("Time added to a request whose token is at hand", "ns", request),
	})
	write(t, "performance.svg", picture)
	write(t, "performance.md", r.page(t))
}

// TestPage fills the page with results of which each is empty.
func TestPage(t *testing.T) {
	text := (summary{}).page(t)
	for _, section := range []string{"## Stores", "## The gate"} {
		if !strings.Contains(text, section) {
			t.Errorf("no section %q:\n%s", section, text)
		}
	}
}

func (r summary) page(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if err := template.Must(template.New("page").Parse(page)).Execute(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func measureAll(t *testing.T) (parse, sign, request []measurement) {
	all := contests()
	parse, sign = all[0].measure(t), all[1].measure(t)
	together := all[2].measure(t)
	base := find(together, plain)
	for _, m := range together {
		if m.name != plain {
			request = append(request, m.added(base))
		}
	}
	for _, all := range [][]measurement{parse, sign, request} {
		slices.SortFunc(all, func(a, b measurement) int { return cmp.Compare(a.median(), b.median()) })
	}
	return parse, sign, request
}

// targets fills in the numbers of the page's first paragraph.
func (r *summary) targets(parse, sign, request []measurement) {
	own := find(sign, ours)
	r.OverRaw = significant(own.over(find(sign, raw)))
	r.OllamaOverOurs = significant(find(sign, "ollama auth.Sign").over(own))
	least := 0.0
	var fromOllama []string
	for _, m := range parse {
		ratio := m.over(find(parse, ours))
		switch {
		case m.name == ours:
		case strings.HasPrefix(m.name, "ollama"):
			fromOllama = append(fromOllama, significant(ratio))
		case least == 0 || ratio < least:
			least = ratio
			r.FastestLibrary = fmt.Sprintf("%s, takes %s times as long", m.name, significant(ratio))
		}
	}
	r.OllamaParsers = strings.Join(fromOllama, " and ")
	r.OwnAllocs = fmt.Sprint(find(parse, ours).allocs)
	added := func(name string) string {
		m := find(request, name)
		return fmt.Sprintf("%s ns and %d allocations", significant(m.median()), m.allocs)
	}
	r.OwnAdded, r.OrasAdded, r.GGCRAdds = added(ours), added("oras-go"), added("go-containerregistry")
}

func flowTable(t *testing.T) table {
	return results(t, "exchanges / 401s / failures, or as said", flows(), func(f flow) string { return f.name },
		func(t *testing.T, f flow, c client) (string, bool) { return f.result(t, c, 61*time.Second) })
}

func policyTable(t *testing.T) table {
	return results(t, "", policies(), func(p policy) string { return p.name },
		func(t *testing.T, p policy, c client) (string, bool) { return p.run(t, c) })
}

// results has a row for each behaviour and a column for each client. All run at
// once: they wait most of the time.
func results[B any](t *testing.T, corner string, behaviours []B, name func(B) string, try func(*testing.T, B, client) (string, bool)) table {
	all := table{head: append([]string{corner}, clientNames()...)}
	t.Run("results", func(t *testing.T) {
		for _, b := range behaviours {
			row := make([]string, 1+len(clients()))
			row[0] = name(b)
			all.rows = append(all.rows, row)
			for i, c := range clients() {
				t.Run(name(b)+"/"+c.name, func(t *testing.T) {
					t.Parallel()
					row[1+i] = mark(try(t, b, c))
				})
			}
		}
	})
	return all
}

func mirrorTable(t *testing.T) table {
	all := table{head: []string{"", "exchanges", "bytes at the end"}}
	for _, c := range clientsWithScopes() {
		m := runMirror(t, c, scopes, passes)
		all.rows = append(all.rows, []string{
			c.name, mark(fmt.Sprint(m.exchanges), m.exchanges == scopes), mark(fmt.Sprint(m.held), m.held <= maxHeld),
		})
	}
	return all
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(*report, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func machine() string {
	return fmt.Sprintf("%s, %d CPUs, %s/%s, %s", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// versions are those of the peers, as go.mod and private.go have them.
func versions(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", orasModule, ggcrModule, "github.com/containerd/containerd/v2", regclientModule, ollamaModule).Output()
	if err != nil {
		t.Fatal(err)
	}
	list := append(strings.Split(strings.TrimSpace(string(out)), "\n"), strings.Replace(distributionModule, "@", " ", 1))
	return strings.Join(list, ", ")
}
