package main

import "github.com/countersign/countersign/config"

// checkConfig returns nil if the configuration cannot be used.
func (a *app) configFindings() (*config.Config, []finding) {
	c := check{name: "configuration"}
	loaded := a.session.config
	if err := a.session.err; err != nil {
		f := c.failed(stateProblem, err)
		f.Do = "put that right first: which keys are used is not known until then"
		return nil, []finding{f}
	}
	if loaded.File() == "" {
		return loaded, []finding{c.found(stateOK, "there is no file, and the built-in order holds", "")}
	}
	if err := loaded.CheckSchemes(loaded.Backends().Mux()); err != nil {
		return loaded, []finding{c.failed(stateProblem, err)}
	}
	if err := config.CheckAccess(loaded.File()); err != nil {
		return loaded, []finding{c.failed(stateProblem, err)}
	}
	return loaded, []finding{c.found(stateOK, loaded.File(), "")}
}
