// Package plugin opens keys of stores that are not built in. A plugin is a program
// countersign-backend-NAME. Each call starts it once: it reads one JSON object and
// writes one. docs/plugin-protocol.md specifies them; package pluginmain makes a
// plugin of any [signer.Backend] in Go.
//
// The program runs with few variables, in a process group of its own, which is
// killed after the call. A plugin that hangs, floods or crashes costs that one
// process. Every signature is verified.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/pluginwire"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A Backend opens "NAME:KEY", the key KEY of the plugin NAME. The zero value finds
// plugins in the absolute folders of PATH. It has the methods of the optional
// interfaces; they return ErrUnsupported if the plugin lacks the ability.
//
// A Backend is safe for concurrent use and must not be copied after first use.
type Backend struct {
	// Programs has settings of plugins, by name. Other plugins are found in PATH.
	Programs map[string]Program

	// Passphrase answers if a plugin needs a passphrase or a PIN. A right answer is
	// kept in memory and used again; a wrong answer is never tried a second time. If
	// Passphrase is nil, the error is ErrLocked.
	Passphrase signer.PassphraseFunc

	// Timeout limits each call, besides the context; one minute if it is 0.
	Timeout time.Duration

	answers answers
}

// A Program is the program of a plugin.
type Program struct {
	Path        string   // absolute; "" to find the program in PATH
	Environment []string // names of variables that it gets besides the usual ones
}

var _ interface {
	signer.Backend
	signer.Generator
	signer.Lister
	signer.Deleter
} = (*Backend)(nil)

// nameRule is the rule for the name of a plugin, which is part of a file's name.
var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// CheckName returns an error that wraps ErrName, and does not repeat name, if no
// plugin can have this name.
func CheckName(name string) error {
	if nameRule.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: the name of a plugin has at most 32 letters a-z, digits and hyphens", signer.ErrName)
}

// split returns the name of the plugin and the name of the key in it.
func split(name string) (plugin, key string, err error) {
	if err := signer.CheckName(name, maxKey); err != nil {
		return "", "", err
	}
	plugin, key, ok := strings.Cut(name, ":")
	if !ok {
		return "", "", fmt.Errorf("%w: a key of a plugin is plugin:NAME:KEY", signer.ErrName)
	}
	if err := CheckName(plugin); err != nil {
		return "", "", err
	}
	if err := signer.CheckName(key, maxKey); err != nil {
		return "", "", err
	}
	if strings.Contains(strings.ToLower(key), "pin-value") { // RFC 7512
		return "", "", fmt.Errorf("%w: a reference never holds a PIN: use pin-source", signer.ErrName)
	}
	return plugin, key, nil
}

// maxKey is the longest name of a key, in bytes.
const maxKey = 4096

// Open implements [signer.Backend]. It asks the plugin for the public key. The
// Signer is a [signer.AlgorithmSigner] and a [signer.Staler]: it is stale after
// the plugin answered with another key or without one. ErrUnavailable if there is
// no such plugin; ErrInsecure if other users can change its program. A time limit
// is context.DeadlineExceeded.
func (b *Backend) Open(ctx context.Context, name string) (signer.Signer, error) {
	return b.public(ctx, name, pluginwire.Public)
}

// Generate implements [signer.Generator].
func (b *Backend) Generate(ctx context.Context, name string) (signer.Signer, error) {
	return b.public(ctx, name, pluginwire.Generate)
}

func (b *Backend) public(ctx context.Context, name, op string) (signer.Signer, error) {
	plugin, key, err := split(name)
	if err != nil {
		return nil, err
	}
	result, prompt, err := b.call(ctx, plugin, pluginwire.Request{Op: op, Key: key}, "")
	if err != nil {
		return nil, err
	}
	pub, err := parsePublicKey(result.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: the reply to %s %w", plugin, op, err)
	}
	return b.newKey(plugin, key, pub, prompt), nil
}

func parsePublicKey(line string) (ssh.PublicKey, error) {
	if line == "" {
		return nil, errors.New("has no public_key")
	}
	pub, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return nil, errors.New(`has a public_key that is no line such as "ssh-ed25519 AAAA..."`)
	}
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return pub, nil
	}
	return nil, fmt.Errorf("has a key of type %s: %w, only Ed25519, ECDSA and RSA", pub.Type(), signer.ErrUnsupported)
}

// Delete implements [signer.Deleter].
func (b *Backend) Delete(ctx context.Context, name string) error {
	plugin, key, err := split(name)
	if err != nil {
		return err
	}
	_, _, err = b.call(ctx, plugin, pluginwire.Request{Op: pluginwire.Delete, Key: key}, "")
	return err
}

// List implements [signer.Lister]. It asks all plugins at once and leaves out the
// plugins that have no list.
func (b *Backend) List(ctx context.Context) ([]signer.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := b.Find()
	infos, errs := make([][]signer.Info, len(found)), make([]error, len(found))
	var all sync.WaitGroup
	for i, f := range found {
		all.Go(func() {
			infos[i], errs[i] = b.ListOf(ctx, f.Name)
			if errors.Is(errs[i], signer.ErrUnsupported) {
				errs[i] = nil
			} else if errs[i] != nil {
				errs[i] = fmt.Errorf("plugin %s: %w", f.Name, errs[i])
			}
		})
	}
	all.Wait()
	listed := slices.Concat(infos...)
	slices.SortFunc(listed, func(x, y signer.Info) int { return strings.Compare(x.Name, y.Name) })
	return listed, errors.Join(errs...)
}

// ListOf returns the keys of one plugin, sorted. It never prompts. ErrUnsupported
// if the plugin has no list.
func (b *Backend) ListOf(ctx context.Context, plugin string) ([]signer.Info, error) {
	if err := CheckName(plugin); err != nil {
		return nil, err
	}
	result, _, err := b.call(signer.WithoutPrompt(ctx), plugin, pluginwire.Request{Op: pluginwire.List}, "")
	if err != nil {
		return nil, err
	}
	var infos []signer.Info
	for _, k := range result.Keys {
		name := plugin + ":" + k.Name
		if _, _, err := split(name); err != nil {
			return nil, fmt.Errorf("plugin %s: the list has a name that no key can have", plugin)
		}
		info := signer.Info{Name: name, Comment: printable.Text(k.Comment)}
		if k.PublicKey != "" {
			if info.PublicKey, err = parsePublicKey(k.PublicKey); err != nil {
				return nil, fmt.Errorf("plugin %s: the list %w", plugin, err)
			}
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(x, y signer.Info) int { return strings.Compare(x.Name, y.Name) })
	return infos, nil
}

// A Description is the answer of a plugin to the question for its abilities. Its
// texts are printable.
type Description struct {
	Name string   // for people; may be ""
	Ops  []string // the operations, such as "public" and "sign"
}

// Describe asks a plugin to describe itself.
func (b *Backend) Describe(ctx context.Context, plugin string) (Description, error) {
	if err := CheckName(plugin); err != nil {
		return Description{}, err
	}
	result, _, err := b.call(signer.WithoutPrompt(ctx), plugin, pluginwire.Request{Op: pluginwire.Describe}, "")
	if err != nil {
		return Description{}, err
	}
	d := Description{Name: printable.Text(result.Name)}
	for _, op := range result.Ops {
		d.Ops = append(d.Ops, printable.Text(op))
	}
	return d, nil
}
