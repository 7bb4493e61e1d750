package config

import (
	"regexp"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/signer"
)

// absolute matches the absolute paths of any platform, because one file serves all.
var absolute = regexp.MustCompile(`^([/\\]|[A-Za-z]:[/\\])`)

// variableName matches the names of variables that a shell can set.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// plugin is the table of a section [plugin.NAME].
func (r *reader) plugin(name string, _ int) (table, error) {
	if err := plugin.CheckName(name); err != nil {
		return table{}, err
	}
	set := func(change func(*plugin.Program)) {
		p := r.config.plugins[name]
		change(&p)
		r.config.plugins[name] = p
	}
	set(func(*plugin.Program) {}) // a section without settings names the plugin, too
	return table{values: map[string]setter{
		"program": func(s setting) {
			path := string(s.value.Data)
			if s.value.Kind != unstable.String || !absolute.MatchString(path) || signer.CheckName(path, longest) != nil {
				r.errorf(s.line, `%s: want the absolute path of the plugin's program, such as "/usr/local/libexec/countersign-backend-%s"`, s.key, name)
			}
			set(func(p *plugin.Program) { p.Path = path })
		},
		"environment": func(s setting) {
			var names []string
			for text, line := range r.texts(s, `["SOFTHSM2_CONF"]`) {
				if !variableName.MatchString(text) {
					r.errorf(line, "%s: want names of variables, without values", s.key)
				}
				names = append(names, text)
			}
			set(func(p *plugin.Program) { p.Environment = names })
		},
	}}, nil
}
