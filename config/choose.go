package config

import (
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/printable"
)

// keyVariable names the key to use, as the flag --key does.
const keyVariable = "COUNTERSIGN_KEY"

// A Level is a place where keys are named. The first that names any holds.
type Level string

// The levels, the strongest first.
const (
	FromFlag     Level = "flag"     // --key
	FromProgram  Level = "program"  // the program's own key
	FromVariable Level = "variable" // COUNTERSIGN_KEY
	FromRegistry Level = "registry" // the file's section for the registry
	FromPlatform Level = "platform" // the file's section for the platform
	FromFile     Level = "file"     // the file's top level
	FromBuiltIn  Level = "built-in"
)

// A Source is where a reference is written.
type Source struct {
	Level Level  `json:"level"`
	File  string `json:"file,omitempty"` // "" unless it is in a file
	Line  int    `json:"line,omitempty"`
}

// String returns the source as people call it: "--key", "COUNTERSIGN_KEY",
// "/etc/countersign.toml:3", "the built-in order".
func (s Source) String() string {
	switch s.Level {
	case FromFlag:
		return "--key"
	case FromProgram:
		return "the program"
	case FromVariable:
		return keyVariable
	case FromBuiltIn:
		return "the built-in order"
	}
	return fmt.Sprintf("%s:%d", printable.Text(s.File), s.Line)
}

// A Candidate is a key that may be used.
type Candidate struct {
	Ref    string `json:"ref"` // "scheme:name"
	Source Source `json:"source"`
}

// builtIn suits a container, where a variable holds the key or the name of its file; a
// desktop, which has a keychain; and a machine where Ollama made a key. It is the same
// on all platforms: where there is no keychain, the keyring backend returns an error at
// once, and ~ is the home directory of Ollama's service too.
var builtIn = []string{"env:OLLAMA_KEY", "keyring:ollama", "file:~/.ollama/id_ed25519"}

// A Query is all that a choice depends on besides the file. [Here] returns this
// machine's.
type Query struct {
	Flag         string              // the value of --key; "" if it was not given
	Program      string              // the program's own key; "" if it leaves the choice to the user
	Getenv       func(string) string // the environment; nil means an empty one
	GOOS, GOARCH string
	Registry     *url.URL // a URL of the registry; nil if it does not matter
}

// Here returns a query for this process: its platform and its environment. The
// flag is the value of --key, or "".
func Here(flag string) Query {
	return Query{Flag: flag, Getenv: os.Getenv, GOOS: runtime.GOOS, GOARCH: runtime.GOARCH}
}

// A Choice is which keys to try for a registry, in which order.
type Choice struct {
	Registry   string // its origin, or "" if the choice is for no registry
	Candidates []Candidate

	// Binding means that a flag, the program or a variable names the only candidate.
	// If it cannot be opened, no other key is tried.
	Binding bool

	config *Config // limits the purposes of the key; nil: no limits
}

// Choose returns the keys for q. It depends on nothing but c and q, and opens
// nothing.
func (c *Config) Choose(q Query) Choice {
	choice := Choice{config: c}
	if q.Registry != nil {
		if o, err := challenge.OriginOf(q.Registry); err == nil {
			choice.Registry = o.String()
		}
	}
	if candidate, ok := q.explicit(); ok {
		choice.Candidates, choice.Binding = []Candidate{candidate}, true
		return choice
	}
	for _, keys := range [][]Candidate{
		c.section(q.Registry).keys,
		c.platform(q.GOOS + "/" + q.GOARCH).keys,
		c.platform(q.GOOS).keys,
		c.keys,
		builtInKeys(),
	} {
		if len(keys) > 0 {
			choice.Candidates = slices.Clone(keys)
			break
		}
	}
	return choice
}

// explicit returns the key that a flag, the program or COUNTERSIGN_KEY names.
func (q Query) explicit() (Candidate, bool) {
	if q.Flag != "" {
		return Candidate{q.Flag, Source{Level: FromFlag}}, true
	}
	if q.Program != "" {
		return Candidate{q.Program, Source{Level: FromProgram}}, true
	}
	if q.Getenv == nil {
		return Candidate{}, false
	}
	ref := q.Getenv(keyVariable)
	return Candidate{ref, Source{Level: FromVariable}}, ref != ""
}

func (c *Config) platform(name string) *section {
	if s := c.platforms[name]; s != nil {
		return s
	}
	return &section{}
}

func builtInKeys() []Candidate {
	var keys []Candidate
	for _, ref := range builtIn {
		keys = append(keys, Candidate{ref, Source{Level: FromBuiltIn}})
	}
	return keys
}
