package challenge

import (
	"net/http"
	"testing"
	"time"
)

func TestProgramName(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/mirror":                  "mirror",
		"mirror.exe":                       "mirror",
		"AZaz09-._mirror":                  "AZaz09-._mirror",
		"my mirror (copy)\u00e9{[`^~:;@,$": "mymirrorcopy",
		"-mirror._":                        "mirror",
		"()":                               "countersign",
		"-.-":                              "countersign",
	} {
		if got := programName([]string{path}); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
	if got := programName(nil); got != "countersign" {
		t.Errorf("without arguments: got %q", got)
	}
}

func TestSkew(t *testing.T) {
	now := time.Unix(1700000000, 0)
	date := func(ahead time.Duration) string { return now.Add(ahead).UTC().Format(http.TimeFormat) }
	for _, tt := range []struct {
		date string
		want time.Duration
	}{
		{"", 0},
		{"yesterday", 0},
		{date(30 * time.Second), 0},
		{date(-30 * time.Second), 0},
		{date(31 * time.Second), 31 * time.Second},
		{date(-31 * time.Second), -31 * time.Second},
	} {
		if got := skew(http.Header{"Date": {tt.date}}, now); got != tt.want {
			t.Errorf("Date %q: got %v, want %v", tt.date, got, tt.want)
		}
	}
}
