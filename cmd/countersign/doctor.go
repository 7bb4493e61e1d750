package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/internal/doctor"
	"github.com/countersign/countersign/internal/terminal"
)

func (a *app) doctorCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "doctor [URL]",
		SuggestFor: []string{"check", "diagnose", "debug", "test"},
		Short:      "Find out what is wrong on this machine, and what to do",
		Long: `Check the configuration, every store of keys, and the keys that would be used;
with a URL also its server: the clock, the challenge that it sends, and whether
that may be answered.

The command asks nobody, changes nothing and sends one request to URL without a
signature. It fails (exit code 1) if there is a problem. A warning is not a
problem.`,
		Example: "  countersign doctor\n  countersign doctor https://registry.example.com",
		Args:    checkArguments,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.doctor(cmd.Context(), args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as an object: see countersign help doctor")
	return cmd
}

func (a *app) doctor(ctx context.Context, args []string, asJSON bool) error {
	query, err := a.query(args)
	if err != nil {
		return err
	}
	m := &doctor.Machine{
		Config: a.session.config, ConfigErr: a.session.err, Backends: a.unlockingBackends(),
		Query: query, Server: query.Registry, PersonPresent: a.terminal.IsPresent(),
	}
	found := doctor.Run(ctx, m.Checks())
	problems := doctor.Count(found, doctor.Problem)
	if asJSON {
		err = a.printJSON(struct {
			OK       bool             `json:"ok"`
			Findings []doctor.Finding `json:"findings"`
		}{problems == 0, found})
	} else {
		err = a.printFindings(found)
	}
	if problems > 0 {
		return fmt.Errorf("%s found", plural(problems, "problem"))
	}
	return err
}

// unlockingBackends returns backends that ask nobody, and that unlock keys whose
// passphrase comes from a flag or from the configuration.
func (a *app) unlockingBackends() backends.Set {
	keys, configured := a.quietBackends(), a.session.config.Backends()
	configured.Keyring.PromptTimeout = 0
	if runtime.GOOS != "darwin" { // where reading from the Keychain may ask
		keys.File.Passphrase = configured.File.Passphrase
	}
	if a.unlock.read != nil {
		keys.File.Passphrase = a.unlock.answer
		keys.Env.Passphrase = a.unlock.answer
		keys.Plugin.Passphrase = a.unlock.answer
	}
	return keys
}

// printFindings prints a line for each finding, and its remedy below. The columns
// fit the longest state and the longest name of a check.
func (a *app) printFindings(found []doctor.Finding) error {
	const stateWidth, checkWidth = len(doctor.Problem), 13
	var b strings.Builder
	for _, f := range found {
		seen := f.Seen
		if f.About != "" {
			seen = f.About + ": " + seen
		}
		state := a.colour(f.State).Sprintf("%-*s", stateWidth, f.State)
		fmt.Fprintf(&b, "%s   %-*s   %s\n", state, checkWidth, f.Check, a.safe(seen))
		if f.Do != "" {
			do := strings.ReplaceAll(a.safe(f.Do), "\n", "\n   ")
			fmt.Fprintf(&b, "%*s-> %s\n", stateWidth+checkWidth+6, "", do)
		}
	}
	if doctor.Count(found, doctor.Problem) == 0 {
		fmt.Fprintf(&b, "\nNo problem, %s.\n", plural(doctor.Count(found, doctor.Warning), "warning"))
	}
	_, err := io.WriteString(a.stdout, b.String()) // with the escapes of colours
	return err
}

// colour returns the colour of a state. There is none unless stdout is a terminal,
// nor with NO_COLOR or TERM=dumb.
func (a *app) colour(s doctor.State) *color.Color {
	c := map[doctor.State]*color.Color{
		doctor.OK:      color.New(color.FgGreen),
		doctor.Note:    color.New(),
		doctor.Warning: color.New(color.FgYellow),
		doctor.Problem: color.New(color.FgRed, color.Bold),
	}[s]
	if !terminal.Is(a.stdout) {
		c.DisableColor()
	}
	return c
}

// plural returns a number with a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
