// Package vault signs with keys in the transit engine of OpenBao or HashiCorp
// Vault. The keys never leave the server.
//
// A name is that of a key in the engine: vault:KEY. The version that is the newest
// when the key is opened signs for as long as the Signer lives.
//
// Formats: the HTTP API of Vault 1.14 (api-docs/secret/transit, auth/approle,
// auth/kubernetes, auth/token), which OpenBao keeps.
package vault

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// A Backend uses the keys of one transit engine. The zero value takes its settings
// from the environment, as the programs vault and bao do. Set the fields before the
// first use. A Backend must not be copied after the first use.
//
// The token comes from the first of these that is set: AppRole or Kubernetes or
// TokenFile; Token; the variable BAO_TOKEN or VAULT_TOKEN; the file ~/.vault-token,
// where "vault login" and "bao login" put it. It is renewed when it is used after
// two thirds of its life. If the server refuses it (status 403), the Backend logs in
// once more, and reads a file or a function once more. If the server refuses the
// new token too, the error is ErrDenied.
//
// The token is sent to Address only: no redirect is followed. Each call ends soon
// after its context, and each request takes 10 seconds at most.
type Backend struct {
	// Address is the URL of the server, such as "https://vault.example.com:8200".
	// Plain http is for a server on this machine only. Empty: BAO_ADDR or
	// VAULT_ADDR. If these are not set either, the errors are ErrUnavailable.
	Address string

	// Namespace is that of the engine and of the login. Empty: BAO_NAMESPACE or
	// VAULT_NAMESPACE, or no namespace.
	Namespace string

	// Mount is the path of the engine. Empty: "transit".
	Mount string

	// CAFile is the path of a PEM file with the certificates of the authorities
	// that the server's certificate may come from. Empty: BAO_CACERT or
	// VAULT_CACERT, or the authorities of the system.
	CAFile string

	// TokenFile is the path of a file that holds the token, such as the sink of a
	// Vault Agent. It may begin with ~. It is read again when it changes. Other
	// users must not be able to read it (ErrInsecure).
	TokenFile string

	// Token returns the token. It is called for each login.
	Token func() string

	// AppRole logs in as an application. Nil: it does not.
	AppRole *AppRole

	// Kubernetes logs in as the service account of a pod. Nil: it does not.
	Kubernetes *Kubernetes

	mu     sync.Mutex
	client *client          // made by the first call that succeeds
	clock  func() time.Time // nil: the wall clock
}

// AppRole is the login of an application (auth method "approle").
type AppRole struct {
	RoleID string

	// SecretIDFile is the path of the file that holds the secret id. It may begin
	// with ~. It is read at each login. Other users must not be able to read it
	// (ErrInsecure). Empty: the role needs no secret id.
	SecretIDFile string

	Mount string // of the method; empty: "approle"
}

// Kubernetes is the login of a pod (auth method "kubernetes").
type Kubernetes struct {
	Role string

	// TokenFile is the path of the service account's token. It is read at each
	// login. Its mode is not checked, because Kubernetes sets it. Empty: the path
	// at which Kubernetes mounts the token.
	TokenFile string

	Mount string // of the method; empty: "kubernetes"
}

var _ interface {
	signer.Backend
	signer.Generator
	signer.Lister
	signer.Deleter
} = (*Backend)(nil)

// Open reads the public half of the key called name. The Signer signs with the
// version that is the newest now. It is a [signer.Staler]: it is stale when it
// notices a newer version, at most a minute and one signature after a rotation. It
// is also a [signer.AlgorithmSigner].
//
// ErrNotFound: the engine answered that it has no such key. ErrUnavailable: no
// server is configured. ErrLocked: the server is sealed. ErrDenied: there is no
// token, or the server refused it. ErrInsecure: others can read the token file.
// ErrUnsupported: a kind of key that does not sign here, or a derived key. A server
// that cannot be reached is another error: it may have the key.
func (b *Backend) Open(ctx context.Context, name string) (signer.Signer, error) {
	c, err := b.connect(ctx, name)
	if err != nil {
		return nil, err
	}
	info, err := c.readKey(ctx, name)
	if err != nil {
		return nil, err
	}
	return newKey(c, name, info)
}

// Generate makes an Ed25519 key that cannot be exported: ErrExists if the engine has
// a key of that name. The errors of Open also apply.
//
// The server answers success for a key that exists, so Generate looks first. Some
// versions of the server also warn. With the others, two processes that generate the
// same name in the same moment get the same key.
func (b *Backend) Generate(ctx context.Context, name string) (signer.Signer, error) {
	c, err := b.connect(ctx, name)
	if err != nil {
		return nil, err
	}
	release, err := c.generating.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	switch exists, err := c.hasKey(ctx, name); {
	case err != nil:
		return nil, err
	case exists:
		return nil, errExists(name)
	}
	var made struct {
		Warnings []string `json:"warnings"`
	}
	err = c.call(ctx, http.MethodPost, c.keyPath(name), map[string]any{"type": "ed25519"}, &made)
	if err != nil {
		return nil, err
	}
	if len(made.Warnings) > 0 { // another process was faster
		return nil, errExists(name)
	}
	info, err := c.readKey(ctx, name)
	if err != nil {
		return nil, err
	}
	return newKey(c, name, info)
}

func errExists(name string) error {
	return fmt.Errorf("%w: the transit engine has a key %q and keeps it", signer.ErrExists, name)
}

// List names all keys of the engine, also those that cannot sign. Info has no
// public keys. Errors are those of Open, except ErrNotFound.
func (b *Backend) List(ctx context.Context) ([]signer.Info, error) {
	c, err := b.connect(ctx, "list")
	if err != nil {
		return nil, err
	}
	names, err := c.listKeys(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var infos []signer.Info
	for _, name := range names {
		if checkName(name) == nil {
			infos = append(infos, signer.Info{Name: name})
		}
	}
	return infos, nil
}

// Delete removes all versions of a key. The server allows that only for a key whose
// setting deletion_allowed is true: ErrDenied for others. The errors of Open also
// apply.
func (b *Backend) Delete(ctx context.Context, name string) error {
	c, err := b.connect(ctx, name)
	if err != nil {
		return err
	}
	info, err := c.readKey(ctx, name)
	if err != nil {
		return err
	}
	if !info.DeletionAllowed {
		err := fmt.Errorf("%w: the setting deletion_allowed of the key is false", signer.ErrDenied)
		return signer.WithHint(err, signer.Hint{Do: "vault write " + shell.Quote(c.keyPath(name)+"/config") + " deletion_allowed=true"})
	}
	return c.call(ctx, http.MethodDelete, c.keyPath(name), nil, nil)
}

// CloseIdleConnections closes the connections that no call uses. They close by
// themselves after 30 seconds.
func (b *Backend) CloseIdleConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client != nil {
		b.client.closeIdleConnections()
	}
}

// connect checks ctx and name and returns the client.
func (b *Backend) connect(ctx context.Context, name string) (*client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client == nil {
		c, err := b.newClient()
		if err != nil {
			return nil, err
		}
		b.client = c
	}
	return b.client, nil
}

const longestName = 256

// keyName is the server's GenericNameRegex.
var keyName = regexp.MustCompile(`^\w(?:[\w.-]*\w)?$`)

func checkName(name string) error {
	if err := signer.CheckName(name, longestName); err != nil {
		return err
	}
	if !keyName.MatchString(name) {
		return fmt.Errorf("%w: the name of a transit key has letters of ASCII, digits, _, - and ., and begins and ends with a letter, a digit or _", signer.ErrName)
	}
	return nil
}

func (c *client) keyPath(name string) string { return c.mount + "/keys/" + url.PathEscape(name) }
