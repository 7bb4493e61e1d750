package tomlfile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gate/internal/tomlfile"
)

const text = `name = "a"
flag = true
wait = "2s"
count = 7
list = [
  "x",
  "y",
]
[part]
name = "b"
[[grant]]
name = "c"
[[grant]]
inline = { name = "d" }
`

func TestRead(t *testing.T) {
	var got []any
	err := tomlfile.Read([]byte(text), "f.toml", func(s *tomlfile.Section) {
		got = append(got, s.Text("name"), s.Flag("flag"), s.Duration("wait", 0), s.Number("count", 0), s.Number("absent", 3), s.Texts("list"))
		got = append(got, s.Section("part").Text("name"))
		for _, g := range s.Sections("grant") {
			got = append(got, g.Text("name"), g.Section("inline").Text("name"), g.Line("inline"))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		"a", true, 2 * time.Second, 7, 3,
		[]tomlfile.Text{{Value: "x", Line: 6}, {Value: "y", Line: 7}},
		"b", "c", "", 11, "", "d", 14,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadReportsEveryMistake(t *testing.T) {
	const text = "name = 1\nflga = true\nlist = [\n 'a',\n 2,\n]\npart = 'x'\ngrant = 3\nwait = '-1s'\ncount = 0\n[deep]\nodd = 1\n"
	err := tomlfile.Read([]byte(text), "f.toml", func(s *tomlfile.Section) {
		s.Text("name")
		s.Flag("flag")
		s.Texts("list")
		s.Section("part")
		s.Sections("grant")
		s.Duration("wait", 0)
		s.Number("count", 1)
		s.Section("deep").Text("even")
	})
	want := `f.toml:1: name: want a string, such as "text"
f.toml:2: unknown key "flga": did you mean "flag"?
f.toml:5: list: want a list of strings, such as ["a", "b"]
f.toml:7: part is a section: write [part]
f.toml:8: grant may come several times: write [[grant]]
f.toml:9: wait: want a duration, such as "90s" or "5m"
f.toml:10: count: want a whole number above zero, without quotes
f.toml:12: unknown key "odd": known are even`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e := (*tomlfile.Error)(nil); !errors.As(err, &e) || e.Line != 1 {
		t.Errorf("no *Error of line 1 in %v", err)
	}
}

func TestReadSyntax(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1\nb = \n":         "f.toml:2: not TOML: ",
		"[a]\nx=1\n[a]\n":       "f.toml:3: not TOML: ",
		"a = 1\n[a.b]\nc = 1\n": "f.toml:2: not TOML: ",
	} {
		err := tomlfile.Read([]byte(text), "f.toml", func(*tomlfile.Section) { t.Errorf("%q: read", text) })
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s...", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(text)
	f.Add("a = [[1], {b = 2}]\n[[x.y]]\n[x.y.z]\n")
	f.Fuzz(func(t *testing.T, text string) {
		tomlfile.Read([]byte(text), "f", func(s *tomlfile.Section) {
			s.Text("a")
			s.Texts("a")
			for _, x := range s.Section("x").Sections("y") {
				x.Section("z").Number("n", 1)
			}
			s.Sections("x")
		})
	})
}
