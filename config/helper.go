package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/challenge"
)

// A Helper tells which secrets a credential helper makes for a registry: see
// [challenge.HelperSecret].
type Helper struct {
	Actions  []string // some of "pull", "push" and "delete"
	Lifetime time.Duration
}

// Helper returns the setting of the registry at u, and whether its section has one.
// The secrets depend on the file only: a registry chooses nothing in them.
func (c *Config) Helper(u *url.URL) (Helper, bool) {
	h := c.section(u).helper
	if h.Lifetime == 0 {
		h.Lifetime = challenge.HelperSecretLifetime
	}
	return h, len(h.Actions) > 0
}

// helperActions are the actions that a registry knows.
var helperActions = []string{"pull", "push", "delete"}

func (r *reader) helperActions(to *[]string) setter {
	return func(s setting) {
		for action, line := range r.texts(s, `["pull", "push"]`) {
			switch {
			case !slices.Contains(helperActions, action):
				r.errorf(line, "%s: unknown action %s%s: want some of %s", s.key, quote(action), suggest(action, helperActions), strings.Join(helperActions, ", "))
			case slices.Contains(*to, action):
				r.errorf(line, "%s: %s is in the list twice", s.key, quote(action))
			}
			*to = append(*to, action)
		}
		if len(*to) == 0 {
			r.errorf(s.line, "%s: the list is empty: name an action, or leave it out", s.key)
		}
	}
}

func (r *reader) helperLifetime(to *time.Duration) setter {
	read := r.duration(to)
	return func(s setting) {
		if read(s); *to > challenge.MaxHelperSecretLifetime {
			r.errorf(s.line, "%s: want at most %s", s.key, fmt.Sprintf("%.0fh", challenge.MaxHelperSecretLifetime.Hours()))
		}
	}
}
