package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/conformance"
	"github.com/countersign/countersign/signer"
)

func (a *app) pluginTestCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME [KEY]",
		Short: "Test whether a plugin keeps the contract of a key store",
		Long: `Test the plugin NAME with the checks that every built-in store passes, and tell what
is wrong. It starts the plugin some hundred times.

With KEY, the name of a key in the plugin, only this key is used, and no key is made.
Without it, the test makes keys and deletes them; their names begin with
countersign-test.`,
		Example: "  countersign plugin test files\n  countersign plugin test pkcs11 'token=work;object=ollama'",
		Args:    checkArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.testPlugin(cmd.Context(), args[0], strings.Join(args[1:], ""))
		},
	}
}

func (a *app) testPlugin(ctx context.Context, name, key string) error {
	_, keys, err := a.load()
	if err != nil {
		return err
	}
	b := keys.Plugin
	d, err := b.Describe(ctx, name)
	if err != nil {
		return &signer.Error{Op: "test", Ref: "plugin:", Err: err}
	}
	prefix := name + ":countersign-test-" + strings.ToLower(rand.Text()) + "-"
	store := conformance.Store{
		Backend:  b,
		Lacks:    lacks(d),
		Name:     func(n int) string { return prefix + strconv.Itoa(n) },
		BadNames: []string{name + ":"},
	}
	switch {
	case !hasAll(d, "public", "sign"):
		return fmt.Errorf(`plugin %s: its description lacks the operations "public" and "sign", without which no key can be used`, name)
	case key != "":
		store.Key = name + ":" + key
	case !hasAll(d, "generate", "delete"):
		return usageError{fmt.Errorf("the plugin %s cannot make and delete keys: name a key to test it with", name)}
	}
	if err := a.print("Plugin %s: %s, answers %s\n\n", name, d.Name, strings.Join(d.Ops, ", ")); err != nil {
		return err
	}
	return a.runChecks(ctx, store)
}

// runChecks runs the checks one after another and prints the result of each.
func (a *app) runChecks(ctx context.Context, store conformance.Store) error {
	passed, failed, skipped := 0, 0, 0
	for _, c := range conformance.Checks() {
		if strings.Contains(c.Name, "Import") || strings.Contains(c.Name, "Export") || c.Name == "Probe" {
			continue // a plugin has no operation for it
		}
		r := c.Try(ctx, store)
		if err := ctx.Err(); err != nil {
			return err
		}
		state, about := "ok", c.About
		switch {
		case len(r.Failures) > 0:
			state = "FAILED"
			failed++
		case r.Skipped != "":
			state, about = "skipped", r.Skipped
			skipped++
		default:
			passed++
		}
		err := a.print("%-8s %-18s %s\n", state, c.Name, about)
		if err = errors.Join(err, a.printFailures(r.Failures)); err != nil {
			return err
		}
	}
	err := a.print("\n%s: %d passed, %d failed, %d skipped\n", plural(passed+failed+skipped, "check"), passed, failed, skipped)
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%s failed", plural(failed, "check")))
	}
	return err
}

// maxFailures is how many failures of one check are printed: a check with many
// callers often fails in each of them.
const maxFailures = 5

func (a *app) printFailures(failures []string) error {
	const indent = "                            "
	for i, f := range failures {
		if i == maxFailures {
			return a.print("%sand %d more\n", indent, len(failures)-i)
		}
		if err := a.print("%s%s\n", indent, strings.ReplaceAll(f, "\n", "\n"+indent)); err != nil {
			return err
		}
	}
	return nil
}
