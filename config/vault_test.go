package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/config"
)

func TestVault(t *testing.T) {
	for text, want := range map[string]*vault.Backend{
		"": {},
		`vault = { address = "http://127.0.0.1:8200" }`: {Address: "http://127.0.0.1:8200"},
		"[vault]\naddress = 'https://v.example:8200'\nnamespace = 'team/a'\nmount = 'keys/transit'\nca_file = '/ca.pem'\ntoken_file = '~/token'": {
			Address: "https://v.example:8200", Namespace: "team/a", Mount: "keys/transit", CAFile: "/ca.pem", TokenFile: "~/token",
		},
		"[vault.approle]\nrole_id = 'r'\nsecret_id_file = '/s'\nmount = 'm'": {AppRole: &vault.AppRole{RoleID: "r", SecretIDFile: "/s", Mount: "m"}},
		"[vault.kubernetes]\nrole = 'r'\ntoken_file = '/t'\nmount = 'm'":     {Kubernetes: &vault.Kubernetes{Role: "r", TokenFile: "/t", Mount: "m"}},
	} {
		got := parse(t, text).Backends().Vault
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(vault.Backend{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestVaultMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"[vault]\nadress = 'x'":                                          `c.toml:2: unknown key "adress": did you mean "address"?`,
		"[vault]\naddress = 'v.example'":                                 "c.toml:2: address: the address of the Vault server is not a URL",
		"[vault]\naddress = 'http://v.example'":                          "c.toml:2: address: key is not protected: plain http to v.example",
		"[vault]\naddress = 'https://u:password@v.example'":              "c.toml:2: address: the address of the Vault server is not a URL",
		"[vault]\naddress = 8200":                                        "c.toml:2: address: want a URL",
		"[vault]\naddress = ''":                                          "c.toml:2: address: ",
		"[vault]\nmount = ''":                                            "c.toml:2: mount: want a text",
		"[vault]\ntoken_file = 'token'":                                  "c.toml:2: token_file: want the path of a file from the root",
		"[vault]\ntoken = 'hvs.secret'":                                  `c.toml:2: unknown key "token"`,
		"[vault]\ntoken_file = '/t'\napprole.role_id = 'r'":              `c.toml:3: role_id: the section [vault] logs in with "token_file" already`,
		"[vault.approle]\nrole_id = 'r'\nsecret_id = 'hush'":             `c.toml:3: unknown key "secret_id"`,
		"[vault.approle]\nrole_id = 'r'\n[vault.kubernetes]\nrole = 'r'": `c.toml:4: role: the section [vault] logs in with "approle" already`,
	} {
		_, err := config.Parse([]byte(text), "c.toml")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
			continue
		}
		for _, secret := range []string{"password", "hvs.", "hush"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q: the error repeats a secret: %v", text, err)
			}
		}
	}
}
