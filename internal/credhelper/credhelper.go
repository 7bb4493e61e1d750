// Package credhelper makes credentials for clients of Docker registries that cannot sign.
// The protocol is that of github.com/docker/docker-credential-helpers.
package credhelper

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// userName tells clients that the secret is a refresh token: they POST it to the token
// endpoint (distribution's docs/content/spec/auth/oauth.md).
const userName = "<token>"

var errReadOnly = errors.New("countersign makes a secret for each request and stores none: logging in and out is not supported")

// A Helper implements [credentials.Helper]. It answers for the registries of Config that
// have the setting "helper".
type Helper struct {
	Context context.Context // of the one request that this process answers
	Config  *config.Config
	Keys    signer.Backend
	Query   config.Query
	Now     func() time.Time
}

// Get returns a secret for the registry at server, signed by the key that the
// configuration chooses.
func (h *Helper) Get(server string) (user, secret string, err error) {
	registry, err := registryOf(server)
	if err != nil {
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	setting, ok := h.Config.Helper(registry.URL())
	if !ok {
		return "", "", h.notConfigured(registry)
	}
	if err := h.Config.Policy().CheckPlain(registry); err != nil {
		return "", "", err
	}
	h.Query.Registry = registry.URL()
	key, _, err := h.Config.Choose(h.Query).Open(h.Context, h.Keys)
	if err != nil {
		return "", "", err
	}
	secret, err = challenge.HelperSecret{
		Origin: registry, Service: registry.URL().Host, Actions: setting.Actions, Expires: h.Now().Add(setting.Lifetime),
	}.Sign(h.Context, key)
	return userName, secret, err
}

// notConfigured returns the error for a registry without the setting "helper". Clients
// ask for many registries, and take one text as "no login is needed".
func (h *Helper) notConfigured(registry challenge.Origin) error {
	host := registry.URL().Host
	for _, name := range h.Config.Registries() {
		if name == host {
			return fmt.Errorf("registry %s takes bearer tokens, which no credential helper can give: use countersign proxy --to %s, "+
				"or, if it is behind countersignd, add helper = [\"pull\"] to its section in the configuration", host, registry)
		}
	}
	return credentials.NewErrCredentialsNotFound()
}

// registryOf reads a registry as clients name it: "host", "host:port", or a URL with any
// path.
func registryOf(server string) (challenge.Origin, error) {
	if u, err := url.Parse(server); err == nil && u.Host != "" {
		return challenge.OriginOf(u)
	}
	return challenge.ParseOrigin(server)
}

// List returns the registries with the setting "helper" and the name of the user.
func (h *Helper) List() (map[string]string, error) {
	all := map[string]string{}
	for _, name := range h.Config.Registries() {
		if _, ok := h.Config.Helper(&url.URL{Scheme: "https", Host: name}); ok {
			all[name] = userName
		}
	}
	return all, nil
}

// Add returns an error: see [credentials.Helper].
func (h *Helper) Add(*credentials.Credentials) error { return errReadOnly }

// Delete returns an error: see [credentials.Helper].
func (h *Helper) Delete(string) error { return errReadOnly }

// Text returns an error as the one line that clients show, with its remedy.
func Text(err error) string {
	text := err.Error() // clients compare the text of some errors
	if hint, ok := signer.HintOf(err); ok && hint.Do != "" {
		text += ": " + hint.Do
	}
	return printable.Text(text)
}
