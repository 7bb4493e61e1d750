// Package backends joins the built-in backends. A program that wants only some
// of them, and none of what the others compile in, fills a [signer.Mux] itself.
package backends

import (
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/signer"
)

// New returns every built-in backend under its scheme, as it is at its zero
// value. To set one up, put another in its place:
//
//	keys := backends.New()
//	keys["env"] = &env.Backend{Unset: true}
func New() signer.Mux {
	return signer.Mux{
		"env":     &env.Backend{},
		"file":    &file.Backend{},
		"keyring": &keyring.Backend{},
	}
}
