package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// keyChecks look at the key for the registry that was asked for or, if none was,
// at those for every registry.
func (d *doctor) keyChecks() []check {
	if d.query.Registry != nil {
		return []check{d.keyCheck("", d.config.Choose(d.query))}
	}
	rest := d.config.Choose(d.query)
	checks := []check{d.keyCheck("", rest)}
	for _, name := range d.config.Registries() {
		q := d.query
		q.Registry = &url.URL{Scheme: "https", Host: name}
		if choice := d.config.Choose(q); !slices.Equal(choice.Candidates, rest.Candidates) {
			checks = append(checks, d.keyCheck(name, choice))
		}
	}
	return checks
}

func (d *doctor) keyCheck(about string, choice config.Choice) check {
	c := check{name: "key", about: about}
	c.run = func(ctx context.Context) []finding {
		b := d.keys(runtime.GOOS)
		s, e, err := choice.Open(ctx, b)
		var found []finding
		if err != nil {
			found = append(found, d.unusable(c, e, err))
		} else {
			taken := e.Tried[len(e.Tried)-1]
			found = append(found, c.found(stateOK, fmt.Sprintf("%s: %s", taken, e.Fingerprint), ""), d.trySigning(ctx, about, s))
			found = append(found, d.replaceable(c, taken.Ref)...)
		}
		return append(found, openToOthers(ctx, b, choice.Candidates[len(e.Tried):])...)
	}
	return c
}

func (d *doctor) unusable(c check, e config.Explanation, err error) finding {
	last := e.Tried[len(e.Tried)-1]
	if errors.Is(err, errNotOpened) {
		return c.found(stateNote, fmt.Sprintf("%s: %s", last, last.Reason), "")
	}
	if last.Outcome != config.Failed {
		return c.found(stateProblem, "there is none: countersign whoami tells where it was looked for",
			"name yours in COUNTERSIGN_KEY or in the configuration (docs/configuration.md), or make one: countersign key generate file:~/.ollama/id_ed25519")
	}
	hint, _ := signer.HintOf(err)
	return d.locked(c.failed(stateProblem, signer.WithHint(fmt.Errorf("%s: %s", last, last.Reason), hint)), err)
}

// locked makes light of a key that is locked where somebody can unlock it.
func (d *doctor) locked(f finding, err error) finding {
	switch {
	case !errors.Is(err, signer.ErrLocked):
	case d.canAsk:
		f.State, f.Do = stateWarning, "nothing, if you are there to unlock it when it is used"
	case f.Do == "":
		f.Do = "run it where somebody can unlock the key, or give its passphrase (docs/keys.md#passphrases)"
	}
	return f
}

// probe is like what Ollama signs, from 1970: no server takes it.
var probe = []byte("GET,/countersign/doctor?ts=0")

func (d *doctor) trySigning(ctx context.Context, about string, s signer.Signer) finding {
	c := check{name: "signature", about: about}
	text, err := challenge.Sign(ctx, s, probe)
	if err == nil {
		_, err = challenge.Verify(text, probe)
	}
	if err != nil {
		return d.locked(c.failed(stateProblem, err), err)
	}
	return c.found(stateOK, "a test text was signed and verified", "")
}

// replaceable warns of a key file that other users can replace.
func (d *doctor) replaceable(c check, ref string) []finding {
	if err := checkKeyFile(d.backends, ref); errors.Is(err, signer.ErrInsecure) {
		return []finding{c.failed(stateWarning, err)}
	}
	return nil
}

// checkKeyFile finds out whether other users can replace the file of a key. It
// returns nil for a key that is in no file.
func checkKeyFile(keys backends.Set, ref string) error {
	name, isFile := strings.CutPrefix(ref, "file:")
	if !isFile {
		return nil
	}
	return keys.File.CheckAccess(name)
}

// openToOthers finds key files with a wrong mode among the keys whose turn did
// not come.
func openToOthers(ctx context.Context, b signer.Backend, candidates []config.Candidate) []finding {
	var found []finding
	for _, k := range candidates {
		if !strings.HasPrefix(k.Ref, "file:") {
			continue
		}
		if _, err := b.Open(ctx, k.Ref); errors.Is(err, signer.ErrInsecure) {
			found = append(found, check{name: "key", about: "not in use"}.failed(stateWarning, err))
		}
	}
	return found
}
