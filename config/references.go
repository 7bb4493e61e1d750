package config

// References returns every reference that a choice could contain without a flag:
// those of all lists in the file, also for other platforms and for all
// registries, that in COUNTERSIGN_KEY if getenv returns one, and the built-in
// order. A reference may be malformed, and may occur twice.
func (c *Config) References(getenv func(string) string) []string {
	candidates := builtInKeys()
	candidates = append(candidates, c.keys...)
	for _, sections := range []map[string]*section{c.platforms, c.registries} {
		for _, s := range sections {
			candidates = append(candidates, s.keys...)
		}
	}
	if asked, ok := (Query{Getenv: getenv}).asked(); ok {
		candidates = append(candidates, asked)
	}
	var refs []string
	for _, candidate := range candidates {
		refs = append(refs, candidate.Ref)
	}
	return refs
}
