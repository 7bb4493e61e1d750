package doctor

import (
	"context"
	"errors"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// A configurationCheck looks for mistakes in the configuration, and for other
// users who can change it.
type configurationCheck struct{ m *Machine }

func (c configurationCheck) Subject() Subject { return Subject{Check: "configuration"} }

func (c configurationCheck) Run(context.Context) []Finding {
	found := []Finding{c.run()}
	if err := config.CheckAccess(config.Path()); c.m.ConfigErr != nil && errors.Is(err, signer.ErrInsecure) {
		found = append(found, c.Subject().failed(Problem, err))
	}
	return found
}

func (c configurationCheck) run() Finding {
	s, loaded := c.Subject(), c.m.Config
	if err := c.m.ConfigErr; err != nil {
		return s.found(Problem, err.Error(), "correct the configuration first: until then it is not known which keys are used")
	}
	if loaded.File() == "" {
		return s.found(OK, "there is no file, and the built-in order holds", "")
	}
	if err := loaded.CheckSchemes(c.m.Backends.Mux()); err != nil {
		return s.failed(Problem, err)
	}
	if err := config.CheckAccess(loaded.File()); err != nil {
		return s.failed(Problem, err)
	}
	if err := loaded.CheckTLS(); err != nil {
		return s.failed(Problem, err)
	}
	return s.found(OK, loaded.File(), "")
}
