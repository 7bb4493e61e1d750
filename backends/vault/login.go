package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

const (
	// userTokenFile is the file in which "vault login" and "bao login" keep a token.
	userTokenFile = "~/.vault-token"

	// serviceAccountToken is the path at which Kubernetes mounts a pod's token.
	serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"
)

// A source gets a token. It is called again if the server refuses the token.
type source func(context.Context, *client) (*token, error)

func (b *Backend) source() (source, error) {
	logins := 0
	for _, set := range []bool{b.TokenFile != "", b.AppRole != nil, b.Kubernetes != nil} {
		if set {
			logins++
		}
	}
	switch {
	case logins > 1:
		return nil, errors.New("the Vault login has one way only: set a token file, AppRole or Kubernetes")
	case b.AppRole != nil:
		return b.AppRole.login, nil
	case b.Kubernetes != nil:
		return b.Kubernetes.login, nil
	case b.TokenFile != "":
		return tokenFile(b.TokenFile), nil
	}
	return b.givenToken, nil
}

func (r *AppRole) login(ctx context.Context, c *client) (*token, error) {
	if r.RoleID == "" {
		return nil, errors.New("the AppRole login of Vault has no role id")
	}
	body := map[string]any{"role_id": r.RoleID}
	var secret string
	if r.SecretIDFile != "" {
		var err error
		if secret, _, err = readSecret("file of the AppRole secret id", r.SecretIDFile, access.CheckReaders); err != nil {
			return nil, err
		}
		body["secret_id"] = secret
	}
	t, err := c.login(ctx, cmp.Or(r.Mount, "approle"), body, secret)
	return t, signer.WithHint(err, loginHint(err, "check role_id, and whether the secret id has expired or was used up: vault write -f auth/"+cmp.Or(r.Mount, "approle")+"/role/ROLE/secret-id"))
}

func (k *Kubernetes) login(ctx context.Context, c *client) (*token, error) {
	if k.Role == "" {
		return nil, errors.New("the Kubernetes login of Vault has no role")
	}
	jwt, _, err := readSecret("token of the service account", cmp.Or(k.TokenFile, serviceAccountToken), nil)
	if err != nil {
		return nil, err
	}
	t, err := c.login(ctx, cmp.Or(k.Mount, "kubernetes"), map[string]any{"role": k.Role, "jwt": jwt}, jwt)
	return t, signer.WithHint(err, loginHint(err, "check that the role "+printable.Quote(k.Role)+" allows the service account and the namespace of this pod"))
}

// loginHint returns a hint for a login that the server refused.
func loginHint(err error, do string) signer.Hint {
	if !errors.Is(err, signer.ErrDenied) {
		return signer.Hint{}
	}
	return signer.Hint{Do: do}
}

// login sends a login request.
func (c *client) login(ctx context.Context, mount string, body map[string]any, secret string) (*token, error) {
	r, err := c.send(ctx, nil, http.MethodPost, "auth/"+strings.Trim(mount, "/")+"/login", body, secret)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Auth auth `json:"auth"`
	}
	err = c.decode(ctx, r, &reply)
	if r.status == http.StatusBadRequest || r.status == http.StatusInternalServerError { // a wrong role id is 400, a wrong secret id 500
		err = fmt.Errorf("%w: %w", signer.ErrDenied, err)
	}
	if err != nil {
		return nil, fmt.Errorf("logging in: %w", err)
	}
	value := reply.Auth.Token
	if value == "" {
		return nil, fmt.Errorf("%s answered a login without a token", c)
	}
	t := &token{secret: func() string { return value }}
	t.setLife(c.now(), reply.Auth.Seconds, reply.Auth.Renewable)
	return t, nil
}

// tokenFile returns the source that reads a file.
func tokenFile(path string) source {
	return func(ctx context.Context, c *client) (*token, error) {
		value, file, err := readSecret("token file", path, access.CheckReaders)
		if err != nil {
			return nil, err
		}
		return c.adopt(ctx, value, &file)
	}
}

// givenToken is the source of the token of the field, the environment or the user.
func (b *Backend) givenToken(ctx context.Context, c *client) (*token, error) {
	value := ""
	if b.Token != nil {
		value = b.Token()
	}
	if value = strings.TrimSpace(cmp.Or(value, variable("TOKEN"))); value != "" {
		return c.adopt(ctx, value, nil)
	}
	t, err := tokenFile(userTokenFile)(ctx, c)
	if errors.Is(err, errNoFile) {
		err = fmt.Errorf("%w: there is no token for %s", signer.ErrDenied, c)
		return nil, signer.WithHint(err, signer.Hint{Do: "vault login, or set VAULT_TOKEN, or a login in the section [vault] of the configuration"})
	}
	return t, err
}

// adopt returns a token that was made elsewhere, with the life that the server tells.
// A policy may keep a token from reading its own life: then it is never renewed.
func (c *client) adopt(ctx context.Context, value string, file *keyfile.Snapshot) (*token, error) {
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("%w: the token for %s has characters that no token has", signer.ErrDenied, c)
	}
	t := &token{secret: func() string { return value }, file: file}
	r, err := c.send(ctx, t, http.MethodGet, "auth/token/lookup-self", nil)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Data struct {
			Seconds   int  `json:"ttl"`
			Renewable bool `json:"renewable"`
		} `json:"data"`
	}
	if r.status == http.StatusOK && c.decode(ctx, r, &reply) == nil {
		t.setLife(c.now(), reply.Data.Seconds, reply.Data.Renewable)
	}
	return t, nil
}

// errNoFile says that a file is absent. It is no signer.ErrNotFound: the key may be
// there.
var errNoFile = errors.New("no such file")

// readSecret reads a file with one secret. check is nil if the mode of the file is
// not checked.
func readSecret(kind, path string, check func(kind, path string, info fs.FileInfo) error) (string, keyfile.Snapshot, error) {
	fail := func(err error) (string, keyfile.Snapshot, error) {
		hint, _ := signer.HintOf(err)
		cause := errors.New(err.Error()) // not the cause of signer: the key may be there
		if errors.Is(err, signer.ErrNotFound) {
			cause = fmt.Errorf("%w: %s", errNoFile, printable.Text(path))
		}
		return "", keyfile.Snapshot{}, signer.WithHint(fmt.Errorf("%w: %s: %w", signer.ErrDenied, kind, cause), hint)
	}
	path, err := expand(path)
	if err != nil {
		return fail(err)
	}
	data, file, err := keyfile.Read(path)
	if err != nil {
		return fail(err)
	}
	if check != nil {
		if err := check(kind, path, file.Info); err != nil {
			return "", keyfile.Snapshot{}, err
		}
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return fail(fmt.Errorf("%s is empty", printable.Text(path)))
	}
	return text, file, nil
}
