package config

import (
	"cmp"
	"slices"

	"github.com/countersign/countersign/internal/spelling"
	"github.com/countersign/countersign/signer"
)

// References returns every reference that a choice could contain without a flag:
// those of all lists in the file, also for other platforms and for all
// registries, that in COUNTERSIGN_KEY if getenv returns one, and the built-in
// order. A reference may be malformed, and may occur twice.
func (c *Config) References(getenv func(string) string) []string {
	candidates := append(builtInKeys(), c.Candidates()...)
	if candidate, ok := (Query{Getenv: getenv}).explicit(); ok {
		candidates = append(candidates, candidate)
	}
	var refs []string
	for _, candidate := range candidates {
		refs = append(refs, candidate.Ref)
	}
	return refs
}

// Candidates returns the keys of all lists in the file, in the order of their
// lines, also for other platforms and for all registries.
func (c *Config) Candidates() []Candidate {
	candidates := slices.Clone(c.keys)
	for _, sections := range []map[string]*section{c.platforms, c.registries} {
		for _, s := range sections {
			candidates = append(candidates, s.keys...)
		}
	}
	slices.SortStableFunc(candidates, func(a, b Candidate) int { return cmp.Compare(a.Source.Line, b.Source.Line) })
	return candidates
}

// CheckSchemes returns an *[Error] for each key in the file whose scheme is
// probably a slip for a scheme of m, joined. Any other scheme may be that of a
// backend of another program, so [Parse] accepts it too.
func (c *Config) CheckSchemes(m signer.Mux) error {
	found := mistakes{file: c.file}
	for _, candidate := range c.Candidates() {
		_, _, err := m.Resolve(candidate.Ref)
		if meant := spelling.Scheme(err, candidate.Ref); meant != "" {
			found.errorf(candidate.Source.Line, "keys: %v: did you mean %q?", err, meant+":")
		}
	}
	for _, l := range c.limits {
		_, _, err := m.Resolve(l.Key)
		if meant := spelling.Scheme(err, l.Key); meant != "" {
			found.errorf(l.Source.Line, "limit: %v: did you mean %q?", err, meant+":")
		}
	}
	return found.err()
}
