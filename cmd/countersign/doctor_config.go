package main

import (
	"github.com/countersign/countersign/config"
)

// loadConfig reports whether there is a configuration to go by.
func (d *doctor) loadConfig() ([]finding, bool) {
	c := check{name: "configuration"}
	loaded, err := config.Load()
	if err != nil {
		d.config = &config.Config{}
		f := c.failed(stateProblem, err)
		f.Do = "put that right first: which keys are used is not known until then"
		return []finding{f}, false
	}
	d.config = loaded
	if loaded.File() == "" {
		return []finding{c.found(stateOK, "there is no file, and the built-in order holds", "")}, true
	}
	if err := config.CheckAccess(loaded.File()); err != nil {
		return []finding{c.failed(stateProblem, err)}, true
	}
	return []finding{c.found(stateOK, loaded.File(), "")}, true
}
