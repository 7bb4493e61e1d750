package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/spelling"
	"github.com/countersign/countersign/signer"
)

// An Outcome tells how the attempt to open a candidate ended.
type Outcome string

// The outcomes. Candidates after a candidate that was taken or that failed are not
// tried.
const (
	Taken      Outcome = "taken"
	PassedOver Outcome = "passed over" // its key is not there
	Failed     Outcome = "failed"      // its key cannot be used, and that ended the search
)

// An Explanation tells which key was taken and why. Its JSON form does not
// change; docs/configuration.md describes it.
type Explanation struct {
	Registry    string  `json:"registry,omitempty"` // its origin
	Tried       []Tried `json:"tried"`              // in order
	Fingerprint string  `json:"fingerprint,omitempty"`
	PublicKey   string  `json:"public_key,omitempty"` // as in authorized_keys; "" if no key was taken

	// Purposes are those that the file allows for the key; nil if it does not limit them.
	Purposes []guard.Purpose `json:"purposes,omitempty"`

	// Order tells why these candidates and no others were tried: "--key asks for this key and no other".
	// It is "" if a key was taken, or if nothing is configured. The error of
	// [Choice.Open] ends with it, in parentheses.
	Order string `json:"-"`
}

// Tried is a candidate that was tried.
type Tried struct {
	// Ref is "scheme:name", without the name or empty if that is malformed: it
	// might be a key.
	Ref     string  `json:"ref"`
	Source  Source  `json:"source"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // why it was not taken

	// Err is the error of the key's store; nil if the key was taken. Reason is its text.
	Err error `json:"-"`
}

// String returns one line for each candidate that was tried.
func (e Explanation) String() string {
	var lines []string
	for _, t := range e.Tried {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", t, t.Outcome, cmp.Or(t.Reason, e.Fingerprint)))
	}
	return strings.Join(lines, "\n")
}

// String returns the reference and where it is written.
func (t Tried) String() string {
	return cmp.Or(printable.Text(t.Ref), "a malformed reference") + ", from " + t.Source.String()
}

// Open opens the only candidate of a binding choice, or else the first one that is
// there, as [signer.First] does. The Explanation is complete also if Open fails. Errors
// are those of First or of b.Open. The signer signs for the purposes of the
// configuration only, whichever backend b is. It prints as its reference and where that
// is written, so that errors of package challenge tell both.
func (c Choice) Open(ctx context.Context, b signer.Backend) (signer.Signer, Explanation, error) {
	s, e, err := c.try(ctx, b)
	if err != nil {
		return nil, e, err
	}
	e.Fingerprint = ssh.FingerprintSHA256(s.PublicKey())
	e.PublicKey = signer.AuthorizedKey(s.PublicKey())
	if c.config != nil {
		taken := e.Tried[len(e.Tried)-1].Ref
		e.Purposes, _ = c.config.Purposes(taken, s.PublicKey())
		s = c.config.limit(taken, s)
	}
	return &chosen{s, e.Tried[len(e.Tried)-1].String()}, e, nil
}

// Probe tells which candidate Open would open, and opens none. It calls probe with the
// references in their order; probe returns the error of an Open that may ask nobody, or
// nil ([signer.Prober]). The explanation has no fingerprint. Errors are those of Open.
func (c Choice) Probe(ctx context.Context, probe func(ctx context.Context, ref string) error) (Explanation, error) {
	_, e, err := c.try(ctx, signer.OpenFunc(func(ctx context.Context, ref string) (signer.Signer, error) {
		return nil, signer.Wrap("open", ref, probe(ctx, ref))
	}))
	return e, err
}

// try opens the first candidate that is there and explains the choice without the key.
func (c Choice) try(ctx context.Context, b signer.Backend) (signer.Signer, Explanation, error) {
	e := Explanation{Registry: c.Registry, Tried: []Tried{}}
	s, err := c.open(ctx, signer.OpenFunc(func(ctx context.Context, ref string) (signer.Signer, error) {
		s, err := b.Open(ctx, ref)
		err = spelling.WithSchemeHint(err, ref)
		e.Tried = append(e.Tried, tried(c.Candidates[len(e.Tried)], err))
		return s, err
	}))
	if err == nil {
		return s, e, nil
	}
	if last := len(e.Tried) - 1; last >= 0 && (c.Binding || !errors.Is(err, signer.ErrNotFound)) {
		e.Tried[last].Outcome = Failed
	}
	if e.Order = c.order(); e.Order != "" {
		err = fmt.Errorf("%w (%s)", err, e.Order)
	}
	return nil, e, c.withHint(err)
}

func (c Choice) open(ctx context.Context, b signer.Backend) (signer.Signer, error) {
	if c.Binding && len(c.Candidates) > 0 {
		return b.Open(ctx, c.Candidates[0].Ref)
	}
	var refs []string
	for _, candidate := range c.Candidates {
		refs = append(refs, candidate.Ref)
	}
	return signer.First(ctx, b, refs...)
}

func tried(c Candidate, err error) Tried {
	if err == nil {
		return Tried{Ref: c.Ref, Source: c.Source, Outcome: Taken}
	}
	e, ok := errors.AsType[*signer.Error](err)
	if !ok {
		e = &signer.Error{Ref: c.Ref, Err: err}
		if errors.Is(err, signer.ErrName) {
			e.Ref = ""
		}
	}
	return Tried{Ref: e.Ref, Source: c.Source, Outcome: PassedOver, Reason: e.Err.Error(), Err: e.Err}
}

// order returns the text of Explanation.Order.
func (c Choice) order() string {
	switch {
	case len(c.Candidates) == 0:
		return "no key was named"
	case c.Binding:
		return fmt.Sprintf("%s asks for this key and no other", c.Candidates[0].Source)
	case c.Candidates[0].Source.Level == FromBuiltIn:
		return ""
	}
	return fmt.Sprintf("the keys are from %s", c.Candidates[0].Source)
}

// withHint adds the way to name a key if no key is there and none is configured.
func (c Choice) withHint(err error) error {
	if len(c.Candidates) == 0 || c.Candidates[0].Source.Level != FromBuiltIn || !errors.Is(err, signer.ErrNotFound) {
		return err
	}
	return signer.WithHint(err, signer.Hint{
		Do:  "name a key in " + keyVariable + " or in a configuration file",
		See: "configuration",
	})
}

// chosen is a signer that knows why it is used.
type chosen struct {
	signer.Signer
	why string
}

func (c *chosen) String() string { return c.why }

// Stale implements [signer.Staler].
func (c *chosen) Stale() bool { return signer.IsStale(c.Signer) }

// Locked implements [signer.Locker].
func (c *chosen) Locked() bool { return signer.IsLocked(c.Signer) }

func (c *chosen) Algorithms() []string { return signer.Algorithms(c.Signer) }

// SignAlgorithm implements [signer.AlgorithmSigner].
func (c *chosen) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	return signer.SignAlgorithm(ctx, c.Signer, msg, algorithm)
}
