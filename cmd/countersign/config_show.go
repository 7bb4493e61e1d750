package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

func (a *app) configShowCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show which keys are tried on this machine for which registry",
		Long: `Show which keys are tried on this machine for which registry, in which order, and
where that is written. No key is opened: whoami does that.`,
		Args: checkArguments,
		RunE: func(*cobra.Command, []string) error { return a.showConfig(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object: see countersign help configuration")
	return cmd
}

// effective is the configuration as it applies to this machine. Its JSON form is
// documented in docs/configuration.md and does not change.
type effective struct {
	File       string                `json:"file,omitempty"`
	Platform   string                `json:"platform"`
	Keys       []config.Candidate    `json:"keys"` // for registries that are not below
	Registries []registryKeys        `json:"registries"`
	Realms     []challenge.RealmPair `json:"realms"`
	Insecure   []string              `json:"insecure"`
	Limits     []config.Limit        `json:"limits"`
}

type registryKeys struct {
	Registry string             `json:"registry"`
	Keys     []config.Candidate `json:"keys"`
}

func (a *app) showConfig(asJSON bool) error {
	c, keys, err := a.load()
	if err != nil {
		return err
	}
	query := config.Here(a.key)
	choice := c.Choose(query)
	if choice.Binding {
		ref := choice.Candidates[0].Ref // not checked yet, and not to be printed if it is a key
		err := signer.CheckReference(ref, len(ref))
		if err == nil {
			_, _, err = keys.Mux().Resolve(ref)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", choice.Candidates[0].Source, err)
		}
	}
	e := effective{
		File: c.File(), Platform: query.GOOS + "/" + query.GOARCH,
		Keys: choice.Candidates, Registries: []registryKeys{}, Realms: []challenge.RealmPair{}, Insecure: []string{},
	}
	for _, name := range c.Registries() {
		query.Registry = &url.URL{Scheme: "https", Host: name}
		e.Registries = append(e.Registries, registryKeys{name, c.Choose(query).Candidates})
	}
	policy := c.Policy()
	e.Realms = append(e.Realms, policy.Pairs...)
	for _, o := range policy.Insecure {
		e.Insecure = append(e.Insecure, o.URL().Host)
	}
	e.Limits = append([]config.Limit{}, c.Limits()...)
	if asJSON {
		return a.printJSON(e)
	}
	return a.printEffective(e)
}

func (a *app) printEffective(e effective) error {
	keys := [][]string{{"REGISTRY", "KEY", "WRITTEN IN"}}
	for _, r := range append(e.Registries, registryKeys{"any other", e.Keys}) {
		for i, k := range r.Keys {
			if i > 0 {
				r.Registry = ""
			}
			keys = append(keys, []string{r.Registry, k.Ref, k.Source.String()})
		}
	}
	realms := [][]string{{"REGISTRY", "ITS TOKENS MAY COME FROM"}}
	for _, pair := range e.Realms {
		realms = append(realms, []string{pair.Registry.String(), pair.Realm.String()})
	}
	realms = append(realms, []string{"any", "itself"})

	err := errors.Join(
		a.print("%s, on %s\n\n", cmp.Or(e.File, "No configuration file"), e.Platform),
		a.printTable(3, keys),
		a.print("\n"),
		a.printTable(3, realms),
	)
	if err == nil && len(e.Limits) > 0 {
		err = a.printLimits(e.Limits)
	}
	if err != nil || len(e.Insecure) == 0 {
		return err
	}
	return a.print("\nPLAIN HTTP IS ALLOWED TO\n%s\n", strings.Join(e.Insecure, "\n"))
}

func (a *app) printLimits(limits []config.Limit) error {
	rows := [][]string{{"KEY", "SIGNS ONLY", "WRITTEN IN"}}
	for _, l := range limits {
		rows = append(rows, []string{l.Key, joinPurposes(l.Purposes), l.Source.String()})
	}
	return errors.Join(a.print("\n"), a.printTable(3, rows))
}
