package config

import (
	"encoding/base64"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

// A Limit names the purposes that a key may sign for, from a section
// [limit."REFERENCE"] or [limit."SHA256:..."] of the file.
type Limit struct {
	Key      string          `json:"key"` // a reference, or a fingerprint
	Purposes []guard.Purpose `json:"purposes"`
	Source   Source          `json:"source"`
}

// Limits returns the limits in the file, in the order of their lines.
func (c *Config) Limits() []Limit { return slices.Clone(c.limits) }

// Purposes returns the purposes that the file allows for the key pub that ref opened,
// and whether it limits them. A limit that names the fingerprint of pub holds for all
// references. If several limits hold, a purpose is allowed if each of them allows it.
func (c *Config) Purposes(ref string, pub ssh.PublicKey) (purposes []guard.Purpose, limited bool) {
	for _, l := range c.limits {
		if l.Key != ref && l.Key != ssh.FingerprintSHA256(pub) && !c.isSameFile(l.Key, ref) {
			continue
		}
		if !limited {
			purposes, limited = slices.Clone(l.Purposes), true
			continue
		}
		purposes = inBoth(purposes, l.Purposes)
	}
	return purposes, limited
}

// limit returns s, the key that ref opened, with the limits of the file.
func (c *Config) limit(ref string, s signer.Signer) signer.Signer {
	if purposes, limited := c.Purposes(ref, s.PublicKey()); limited {
		return guard.Only(s, purposes...)
	}
	return s
}

// isSameFile reports whether two references name the same key file: paths have many
// spellings.
func (c *Config) isSameFile(a, b string) bool {
	pathA, infoA := c.fileOf(a)
	pathB, infoB := c.fileOf(b)
	return pathA != "" && pathA == pathB || os.SameFile(infoA, infoB)
}

// fileOf returns the path of a key file, or "", and the file, or nil.
func (c *Config) fileOf(ref string) (string, os.FileInfo) {
	name, isFile := strings.CutPrefix(ref, "file:")
	if !isFile {
		return "", nil
	}
	path, _ := (&file.Backend{Dir: c.folder}).Path(name) // "" with an error
	info, _ := os.Stat(path)                             // nil with an error
	return path, info
}

// inBoth returns the purposes that both lists allow. A purpose without an audience
// allows every audience.
func inBoth(a, b []guard.Purpose) []guard.Purpose {
	both := []guard.Purpose{}
	for _, lists := range [][2][]guard.Purpose{{a, b}, {b, a}} {
		for _, p := range lists[0] {
			allowed := slices.Contains(lists[1], p) || slices.Contains(lists[1], p.Protocol())
			if allowed && !slices.Contains(both, p) {
				both = append(both, p)
			}
		}
	}
	return both
}

// checkLimitedKey checks the name of a section [limit."..."].
func checkLimitedKey(name string) error {
	digest, isFingerprint := strings.CutPrefix(name, "SHA256:")
	if !isFingerprint {
		return signer.CheckReference(name, longest)
	}
	if raw, err := base64.RawStdEncoding.Strict().DecodeString(digest); err != nil || len(raw) != 32 {
		return errors.New("the fingerprint is malformed: countersign key list shows those of your keys")
	}
	return nil
}

func (r *reader) limit(name string, line int) (table, error) {
	if err := checkLimitedKey(name); err != nil {
		return table{}, err
	}
	limits := &r.config.limits
	i := slices.IndexFunc(*limits, func(l Limit) bool { return l.Key == name })
	if i < 0 { // without purposes, the section allows nothing, and is a mistake
		i = len(*limits)
		*limits = append(*limits, Limit{Key: name, Source: Source{FromFile, r.file, line}})
	}
	return table{
		values: map[string]setter{"purposes": func(s setting) { (*limits)[i].Purposes = r.purposes(s) }},
	}, nil
}

// checkLimits reports the sections that name no purposes: they would limit nothing.
func (r *reader) checkLimits() {
	for _, l := range r.config.limits {
		if l.Purposes == nil {
			r.errorf(l.Source.Line, "limit: purposes is missing: list those that the key may sign for, or remove the section")
		}
	}
}

func (r *reader) purposes(s setting) []guard.Purpose {
	var known []string
	for _, p := range guard.Purposes() {
		known = append(known, string(p))
	}
	purposes := []guard.Purpose{}
	for text, line := range r.texts(s, `["ollama.registry", "ollama.api"]`) {
		name, _, _ := strings.Cut(text, " ")
		p, err := guard.ParsePurpose(text)
		switch {
		case !slices.Contains(known, name):
			r.errorf(line, "%s: unknown purpose %s%s", s.key, quote(name), suggest(name, known))
		case err != nil:
			r.errorf(line, "%s: %v", s.key, err)
		}
		purposes = append(purposes, p)
	}
	if s.value.Kind == unstable.Array && s.value.Child() == nil {
		r.errorf(s.line, "%s: the list is empty: name a purpose, or remove the section", s.key)
	}
	return purposes
}
