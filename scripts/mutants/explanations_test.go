package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const header = "| File | Function | Change | Why no test can notice it |\n|---|---|---|---|\n"

func TestParseExplanations(t *testing.T) {
	page := "# Title\n\n| other | table |\n|---|---|\n| a | b |\n\n" + header +
		"| a/b.go | `T.f` | `x \\|\\| y` becomes `x` | y never holds |\n\ntext\n"
	got, err := parseExplanations(page)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a/b.go T.f `x || y` becomes `x`": "y never holds"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseExplanationsErrors(t *testing.T) {
	const row = "| a.go | f | `x` is removed | because |\n"
	for name, page := range map[string]string{
		"no table":  "# Title\n",
		"no reason": header + "| a.go | f | `x` is removed | |\n",
		"few cells": header + "| a.go | f | because |\n",
		"twice":     header + row + row,
	} {
		if _, err := parseExplanations(page); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUnmatched(t *testing.T) {
	file := allTargets()[0].file
	ids := map[string]bool{file + " f `x` is removed": true}
	explained := map[string]string{
		file + " f `x` is removed":                 "there",
		file + " f `y` is removed":                 "gone",
		"nosuch.go f `y` is removed":               "its file is not in the table",
		allTargets()[1].file + " f `y` is removed": "not looked at",
	}
	want := []string{file + " f `y` is removed", "nosuch.go f `y` is removed"}
	if diff := cmp.Diff(want, unmatched(explained, ids, allTargets()[:1])); diff != "" {
		t.Error(diff)
	}
}

func TestExplanationsPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("../..", explanationsPage))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseExplanations(string(page)); err != nil {
		t.Error(err)
	}
}
