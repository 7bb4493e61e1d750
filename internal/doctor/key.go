package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/remedy"
	"github.com/countersign/countersign/signer"
)

// A keyCheck opens the key of a choice and signs with it.
type keyCheck struct {
	m      *Machine
	about  string // the registry; "" for all without a key of their own
	choice config.Choice
	keys   signer.Backend
}

// keyChecks returns a check for the key of the registry in the query. Without
// one, it returns a check for each registry with a key of its own, and one for
// the others.
func (m *Machine) keyChecks() []Check {
	keys := m.openable(runtime.GOOS)
	others := m.Config.Choose(m.Query)
	checks := []Check{keyCheck{m, "", others, keys}}
	if m.Query.Registry != nil {
		return checks
	}
	for _, name := range m.Config.Registries() {
		q := m.Query
		q.Registry = &url.URL{Scheme: "https", Host: name}
		if choice := m.Config.Choose(q); !slices.Equal(choice.Candidates, others.Candidates) {
			checks = append(checks, keyCheck{m, name, choice, keys})
		}
	}
	return checks
}

func (c keyCheck) Subject() Subject { return Subject{"key", c.about} }

func (c keyCheck) Run(ctx context.Context) []Finding {
	key, e, err := c.choice.Open(ctx, c.keys)
	var found []Finding
	if err != nil {
		found = append(found, c.unusable(e, err))
	} else {
		used := e.Tried[len(e.Tried)-1]
		found = append(found, c.Subject().found(OK, fmt.Sprintf("%s: %s%s", used, e.Fingerprint, limits(e.Purposes)), ""))
		found = append(found, c.signature(ctx, used.Ref, key, e.Purposes))
		found = append(found, c.replaceable(used.Ref)...)
	}
	return append(found, c.openToOthers(ctx, c.choice.Candidates[len(e.Tried):])...)
}

// unusable returns a finding about a choice that gave no key.
func (c keyCheck) unusable(e config.Explanation, err error) Finding {
	s, last := c.Subject(), e.Tried[len(e.Tried)-1]
	if errors.Is(err, errNotOpened) {
		return s.found(Note, fmt.Sprintf("%s: %s", last, last.Reason), "")
	}
	if last.Outcome != config.Failed {
		return s.found(Problem, "no key was found: countersign whoami shows where",
			"name your key in COUNTERSIGN_KEY or in the configuration (countersign help configuration), or "+newKey())
	}
	return c.downgradeLocked(s.found(Problem, fmt.Sprintf("%s: %s", last, last.Reason), remedy.Of(err)), err)
}

// newKey tells how to get a key. Without a home directory no key file can be there.
func newKey() string {
	if home, err := os.UserHomeDir(); err == nil {
		if info, err := os.Stat(home); err == nil && info.IsDir() {
			return "make one: countersign key generate file:~/.ollama/id_ed25519"
		}
	}
	return "give it in OLLAMA_KEY (countersign help headless)"
}

// downgradeLocked makes a locked key a warning if a person can unlock it.
func (c keyCheck) downgradeLocked(f Finding, err error) Finding {
	switch {
	case !errors.Is(err, signer.ErrLocked):
	case c.m.PersonPresent:
		f.State, f.Do = Warning, "nothing, if you are there to unlock it when it is used"
	case f.Do == "":
		f.Do = "run it where a person can unlock the key, or give its passphrase (countersign help keys#passphrases)"
	}
	return f
}

// limits returns a clause about the purposes of a limited key.
func limits(purposes []guard.Purpose) string {
	if purposes == nil {
		return ""
	}
	return ", signs only " + strings.Trim(fmt.Sprint(purposes), "[]")
}

// testTextFor returns a text that a key may sign, in a form that Ollama signs, or nil
// if a limited key may sign none. It is from 1970, so no server accepts it.
func testTextFor(purposes []guard.Purpose) []byte {
	texts := []string{"GET,/countersign/doctor?ts=0"}
	for _, p := range append([]guard.Purpose{guard.Registry.For("https://countersign.invalid")}, purposes...) {
		if origin, ok := strings.CutPrefix(string(p), string(guard.Registry)+" "); ok {
			const emptyHash = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
			texts = append(texts, "GET,"+origin+"/countersign/doctor?nonce=AAAAAAAAAAAAAAAAAAAAAA&ts=0,"+emptyHash)
		}
	}
	for _, text := range texts {
		if purposes == nil || guard.Check([]byte(text), purposes...) == nil {
			return []byte(text)
		}
	}
	return nil
}

// signature tries to sign, except with a key that may ask a person.
func (c keyCheck) signature(ctx context.Context, ref string, key signer.Signer, purposes []guard.Purpose) Finding {
	if strings.HasPrefix(ref, "agent:") {
		return Subject{"signature", c.about}.found(Note, "not tried, because the agent may ask a person", "")
	}
	return c.sign(ctx, key, purposes)
}

// sign makes and verifies a signature.
func (c keyCheck) sign(ctx context.Context, key signer.Signer, purposes []guard.Purpose) Finding {
	s := Subject{"signature", c.about}
	testText := testTextFor(purposes)
	if testText == nil {
		return s.found(Note, "not tried, because the key may not sign a request to Ollama", "")
	}
	value, err := challenge.Sign(ctx, key, testText)
	if err == nil {
		_, err = challenge.Verify(value, testText)
	}
	if err != nil {
		return c.downgradeLocked(s.failed(Problem, err), err)
	}
	return s.found(OK, "a test text was signed and verified", "")
}

// replaceable warns of a key file that other users can replace.
func (c keyCheck) replaceable(ref string) []Finding {
	if err := CheckKeyFile(c.m.Backends, ref); errors.Is(err, signer.ErrInsecure) {
		return []Finding{c.Subject().failed(Warning, err)}
	}
	return nil
}

// CheckKeyFile finds out whether other users can replace the file of a key:
// ErrInsecure. It returns nil for a key that is in no file.
func CheckKeyFile(keys backends.Set, ref string) error {
	name, isFile := strings.CutPrefix(ref, "file:")
	if !isFile {
		return nil
	}
	return keys.File.CheckAccess(name)
}

// openToOthers warns of key files with a wrong mode among the candidates that were
// not tried.
func (c keyCheck) openToOthers(ctx context.Context, candidates []config.Candidate) []Finding {
	var found []Finding
	for _, k := range candidates {
		if !strings.HasPrefix(k.Ref, "file:") {
			continue
		}
		if _, err := c.keys.Open(ctx, k.Ref); errors.Is(err, signer.ErrInsecure) {
			found = append(found, Subject{"key", "not in use"}.failed(Warning, err))
		}
	}
	return found
}
