package config

import (
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/signer"
)

// vaultSettings are the values of the section [vault].
type vaultSettings struct {
	address, namespace, mount, caFile string

	login      string // the way to log in: "token_file", "approle" or "kubernetes"; "" if the file names none
	tokenFile  string
	appRole    vault.AppRole
	kubernetes vault.Kubernetes
}

func (v *vaultSettings) backend() *vault.Backend {
	b := &vault.Backend{Address: v.address, Namespace: v.namespace, Mount: v.mount, CAFile: v.caFile, TokenFile: v.tokenFile}
	switch v.login {
	case "approle":
		b.AppRole = &v.appRole
	case "kubernetes":
		b.Kubernetes = &v.kubernetes
	}
	return b
}

func (r *reader) vault() table {
	v := &r.config.vault
	return table{
		values: map[string]setter{
			"address":    r.vaultAddress(&v.address),
			"namespace":  r.text(&v.namespace, "team-a"),
			"mount":      r.text(&v.mount, "transit"),
			"ca_file":    r.filePath(&v.caFile, "/etc/ssl/vault.pem"),
			"token_file": r.vaultLogin("token_file", r.filePath(&v.tokenFile, "/run/vault/token")),
		},
		tables: map[string]table{
			"approle": {values: map[string]setter{
				"role_id":        r.vaultLogin("approle", r.text(&v.appRole.RoleID, "0b17718c-d24a-8af9-ff69-a1353acb8600")),
				"secret_id_file": r.vaultLogin("approle", r.filePath(&v.appRole.SecretIDFile, "/run/secrets/secret-id")),
				"mount":          r.vaultLogin("approle", r.text(&v.appRole.Mount, "approle")),
			}},
			"kubernetes": {values: map[string]setter{
				"role":       r.vaultLogin("kubernetes", r.text(&v.kubernetes.Role, "registry")),
				"token_file": r.vaultLogin("kubernetes", r.filePath(&v.kubernetes.TokenFile, "/var/run/secrets/kubernetes.io/serviceaccount/token")),
				"mount":      r.vaultLogin("kubernetes", r.text(&v.kubernetes.Mount, "kubernetes")),
			}},
		},
	}
}

// vaultLogin refuses a second way to log in: the program would have to choose.
func (r *reader) vaultLogin(way string, set setter) setter {
	return func(s setting) {
		if other := r.config.vault.login; other != "" && other != way {
			r.errorf(s.line, "%s: the section [vault] logs in with %q already: leave one of the two out", s.key, other)
		}
		r.config.vault.login = way
		set(s)
	}
}

func (r *reader) vaultAddress(to *string) setter {
	return func(s setting) {
		*to = string(s.value.Data)
		if s.value.Kind != unstable.String {
			r.errorf(s.line, `%s: want a URL, such as "https://vault.example.com:8200"`, s.key)
		} else if err := vault.CheckAddress(*to); err != nil {
			r.errorf(s.line, "%s: %v", s.key, err)
		}
	}
}

// text reads a string that is not empty.
func (r *reader) text(to *string, example string) setter {
	return func(s setting) {
		*to = string(s.value.Data)
		if s.value.Kind != unstable.String || signer.CheckName(*to, longest) != nil {
			r.errorf(s.line, "%s: want a text, such as %q", s.key, example)
		}
	}
}
