package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithSwitches(t *testing.T) {
	const original = "f(a && b)"
	mutants := []mutant{
		{number: 1, from: 2, to: 8, form: expression, typ: "bool", text: "false"},
		{number: 2, from: 2, to: 3, form: expression, typ: "bool", text: "true"},
		{number: 3, from: 0, to: 9, form: statement, text: ""},
		{number: 4, from: 9, to: 9, form: insertion, text: "break"},
		{number: 0, from: 7, to: 8, form: fixed, text: "c"},
	}
	want := "if mutantOn(3) {  } else { " +
		"f(mutantPick(1, func() bool { return false }, func() bool { return " +
		"mutantPick(2, func() bool { return true }, func() bool { return a }) && b })) }" +
		"; if mutantOn(4) { break }\n"
	if diff := cmp.Diff(want, string(withSwitches([]byte(original), mutants))); diff != "" {
		t.Error(diff)
	}
}
