package config

import (
	"fmt"

	"github.com/countersign/countersign/backends/keyring"
)

// root lists the names that a file may have. docs/configuration.md describes them.
func (r *reader) root() table {
	c := r.config
	return table{
		values: map[string]setter{"keys": r.candidates(FromFile, &c.keys)},
		tables: map[string]table{
			"platform": {named: r.platform},
			"registry": {named: r.registry},
			"limit":    {named: r.limit},
			"agent": {values: map[string]setter{
				"socket": r.rootedPath(&c.socket, `a socket`, `"~/.1password/agent.sock"`),
			}},
			"plugin": {named: r.plugin},
			"keyring": {values: map[string]setter{
				"stores":         r.stores(&c.stores),
				"timeout":        r.duration(&c.timeout),
				"prompt_timeout": r.duration(&c.promptTimeout),
			}},
			"file": {values: map[string]setter{
				"folder":     r.rootedPath(&c.folder, `a folder`, `"/var/lib/keys" or "~/keys"`),
				"passphrase": r.keyringItem(&c.passphrase),
			}},
			"vault": r.vault(),
		},
	}
}

func (r *reader) platform(name string, line int) (table, error) {
	if err := checkPlatform(name); err != nil {
		return table{}, err
	}
	s, err := at(r.config.platforms, name, name, line)
	if err != nil {
		return table{}, err
	}
	return table{
		values: map[string]setter{"keys": r.candidates(FromPlatform, &s.keys)},
		unquoted: func(arch string) string {
			return fmt.Sprintf("the name of a platform is in quotes: [platform.%s]", quote(name+"/"+arch))
		},
	}, nil
}

func (r *reader) registry(name string, line int) (table, error) {
	key, err := parseSite(name)
	if err != nil {
		return table{}, err
	}
	s, err := at(r.config.registries, key.String(), name, line)
	if err != nil {
		return table{}, err
	}
	s.site = key
	r.config.addOrigins(s)
	return table{
		values: map[string]setter{
			"keys":     r.candidates(FromRegistry, &s.keys),
			"realms":   r.realms(&s.realms),
			"insecure": r.boolean(&s.insecure),

			"ca":          r.filePath(&s.ca, "/etc/countersign/ca.pem"),
			"certificate": r.filePath(&s.certificate, "~/.config/countersign/client.pem"),

			"helper":          r.helperActions(&s.helper.Actions),
			"helper_lifetime": r.helperLifetime(&s.helper.Lifetime),
		},
		unquoted: func(string) string {
			return `the name of a registry is in quotes: [registry."registry.example.com"]`
		},
	}, nil
}

// at returns the section of that key, new if there is none.
func at(sections map[string]*section, key, name string, line int) (*section, error) {
	s := sections[key]
	if s == nil {
		s = &section{name: name, line: line}
		sections[key] = s
	}
	if s.name != name {
		return nil, fmt.Errorf("%s is the same as %s in line %d", quote(name), quote(s.name), s.line)
	}
	return s, nil
}

func knownStores() []string {
	var names []string
	for _, s := range []keyring.Store{keyring.SecretService, keyring.KWallet, keyring.KeyCtl, keyring.Keychain, keyring.WinCred, keyring.Pass} {
		names = append(names, string(s))
	}
	return names
}
