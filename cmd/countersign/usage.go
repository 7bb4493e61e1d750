package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/countersign/countersign/internal/spelling"
)

// subcommand is the Args of a command that does nothing without a subcommand.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", shorten(args[0]), cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if cmd.Flags().Lookup(args[0]) != nil {
		return fmt.Errorf("%w: did you mean --%s?", err, args[0])
	}
	similar := calledSo(cmd, args[0])
	if len(similar) == 0 {
		similar = cmd.SuggestionsFor(args[0])
	}
	if len(similar) == 0 {
		similar = commandsCalled(cmd.Root(), args[0])
	}
	if len(similar) > 0 {
		return fmt.Errorf("%w: did you mean %s?", err, strings.Join(similar, " or "))
	}
	return err
}

// calledSo returns the subcommands of cmd that other programs call name.
func calledSo(cmd *cobra.Command, name string) []string {
	var found []string
	for _, sub := range cmd.Commands() {
		if slices.Contains(sub.SuggestFor, strings.ToLower(name)) {
			found = append(found, sub.Name())
		}
	}
	return found
}

// commandsCalled returns the commands below cmd, with their parents, that have the name
// or are called so by other programs.
func commandsCalled(cmd *cobra.Command, name string) []string {
	var found []string
	for _, sub := range cmd.Commands() {
		if strings.EqualFold(sub.Name(), name) || slices.Contains(sub.SuggestFor, strings.ToLower(name)) {
			found = append(found, strings.TrimPrefix(sub.CommandPath(), cmd.Root().Name()+" "))
		}
		found = append(found, commandsCalled(sub, name)...)
	}
	return found
}

// checkArguments is the Args of a command that takes the arguments that its Use names.
// Those in brackets may be left out, and <FILE is stdin.
func checkArguments(cmd *cobra.Command, args []string) error {
	var names, required []string
	for _, name := range strings.Fields(cmd.Use)[1:] {
		if strings.HasPrefix(name, "<") {
			continue
		}
		names = append(names, name)
		if !strings.HasPrefix(name, "[") {
			required = append(required, name)
		}
	}
	var problem string
	switch {
	case len(args) > len(names):
		problem = "too many arguments" // not repeated: one may be a secret
	case len(args) < len(required):
		problem = "no " + strings.Join(required[len(args):], " and no ")
	default:
		return nil
	}
	return fmt.Errorf("%s: the command is: %s", problem, strings.TrimSuffix(cmd.CommandPath(), cmd.Name())+cmd.Use)
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// flagError improves an error about a flag. A value is never repeated: it may be a
// passphrase.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s: %w", e.GetFlag().Name, valueError(e))
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	name := unknown.GetSpecifiedName()
	err = fmt.Errorf("unknown flag: --%s", shorten(name))
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		err = fmt.Errorf("unknown shorthand flag: %q in -%s", name[0], shorten(short))
	}
	for _, sub := range cmd.Commands() {
		if sub.Name() == name {
			return fmt.Errorf("%w: did you mean %s?", err, sub.CommandPath())
		}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if similar := spelling.Nearest(name, names); similar != "" {
		return fmt.Errorf("%w: did you mean --%s?", err, similar)
	}
	return err
}

// shorten returns a word of the command line for an error. It does not repeat a
// long word, which may be a key or end with one.
func shorten(word string) string {
	if len(word) > 30 {
		return fmt.Sprintf("(%d bytes)", len(word))
	}
	return word
}

// valueError tells which values a flag takes. Errors of flags that this program
// defines do not repeat the value.
func valueError(e *pflag.InvalidValueError) error {
	switch e.GetFlag().Value.Type() {
	case "duration":
		return errors.New("want a duration, such as 30s or 5m")
	case "bool":
		return errors.New("want no value, or true or false")
	case "uint16":
		return errors.New("want a number from 0 to 65535")
	}
	return e.Unwrap()
}
