// Package distribution has a registry of CNCF distribution, with its content in memory,
// that trusts the tokens of a gate.
package distribution

import (
	"context"
	"io"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/token" // the tokens of a gate
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/sirupsen/logrus"

	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/site"
)

// New returns the handler of a registry that is set up as "countersignd init" tells for
// a site. Call end after use.
func New(ctx context.Context, s config.Site) (registry http.Handler, end func()) {
	logrus.SetOutput(io.Discard)
	c := &configuration.Configuration{
		Version: "0.1",
		Storage: configuration.Storage{
			"inmemory": configuration.Parameters{},
			"delete":   configuration.Parameters{"enabled": true},
		},
		Auth: configuration.Auth{"token": configuration.Parameters{
			"realm":          s.Origin.String() + site.TokenPath,
			"service":        s.Service(),
			"issuer":         s.Issuer(),
			"rootcertbundle": s.Tokens.Root,
		}},
	}
	c.Log.AccessLog.Disabled = true
	c.Log.Level = "error"
	c.Catalog.MaxEntries = 1000
	c.HTTP.Secret = "not secret in a demonstration"
	app := handlers.NewApp(ctx, c)
	return app, func() { _ = app.Shutdown() }
}
