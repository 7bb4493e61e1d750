// Package signin connects the key of this machine with an account at a server, as an
// app does it when it runs for the first time. The app shows the texts and buttons; the
// package does the rest:
//
//	client, err := signin.New("https://ollama.com")
//	key, err := client.EnsureKey(ctx)        // finds the key or makes one
//	page, err := client.Page(key)            // the address to open in a browser
//	account, err := client.Wait(ctx, key, p) // until the server accepts the key
//	resp, err := client.HTTP().Get(url)      // signed with the key
//
// Each call can be repeated after an error and after the app was killed: it finds the
// state that the last run left. docs/desktop.md lists the errors with a sentence to
// show and a button for each.
package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/countersign/countersign/askpass"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// promptTimeout is how long a person has to unlock the keychain.
const promptTimeout = 2 * time.Minute

// A Client connects one key with an account at one server. [New] sets the fields as a
// desktop app needs them. Do not change them after the first use, and do not copy a
// Client. It is safe for concurrent use.
type Client struct {
	// Server is the server that has the accounts.
	Server challenge.Origin

	// Config chooses the key; nil means the built-in order.
	Config *config.Config

	// Keys opens the keys, and makes new ones.
	Keys signer.Mux

	// Key is the reference of the app's own key, such as "keyring:example-app". "" means
	// the key that the variable COUNTERSIGN_KEY or Config names for Server, which is the
	// key that other programs on this machine use too.
	Key string

	// Launch asks the sign-in page to start Ollama's app afterwards, as the page does for
	// Ollama's own app.
	Launch bool

	// Ask asks for the passphrase of a key file or variable, in a window of the app or as
	// [askpass.Find] does; nil means that nobody can answer. It is used by the Keys of New.
	Ask signer.PassphraseFunc

	// Prompt is called when a store asks a person to unlock the key, and when that has
	// ended, so that the app can say which other window waits for an answer. It may be
	// nil. See [signer.WithPromptFunc].
	Prompt func(signer.PromptEvent)

	// StateDir is the folder of a file that keeps the reference of the key and its last
	// account between two runs of the app, for [Client.State]. "" keeps them as long as the
	// Client. The file holds no secret. That it cannot be written is no error.
	StateDir string

	// Base sends the requests; nil means a transport with limits. Set it for a proxy or
	// a certificate authority of your own.
	Base http.RoundTripper

	once   sync.Once
	keeper *signer.Keeper // of Keys, so that all parts of the app share opened keys
	client *challenge.Client

	mu      sync.Mutex
	opened  map[string]openedKey // by reference
	record  *record              // nil before it is read
	changed chan struct{}        // closed at the next change; nil if nobody waits
}

// New returns a Client for the server with this origin, such as "https://ollama.com".
// It reads the configuration file. A person has two minutes to answer a prompt of the
// keychain, unless the file sets another time, and is asked for passphrases by
// [askpass.Find]. New opens no key.
//
// Errors: those of [challenge.ParseOrigin] and [config.Load].
func New(server string) (*Client, error) {
	origin, err := challenge.ParseOrigin(server)
	if err != nil {
		return nil, err
	}
	c := &Client{Server: origin, Ask: askpass.Find(false), StateDir: stateDir()}
	if c.Config, err = config.Load(); err != nil {
		return nil, err
	}
	keys := c.Config.Backends()
	if keys.Keyring.PromptTimeout == 0 {
		keys.Keyring.PromptTimeout = promptTimeout
	}
	keys.Env.Passphrase = c.ask
	keys.File.Passphrase = c.askUnlessStored(keys.File.Passphrase)
	c.Keys = keys.Mux()
	return c, nil
}

func (c *Client) ask(ctx context.Context, prompt string) ([]byte, error) {
	if c.Ask == nil {
		return nil, errors.New("nobody is there to give it")
	}
	return c.Ask(ctx, prompt)
}

// askUnlessStored asks a person only if the configuration names no item with the
// passphrase, or if the item or the keychain is not there.
func (c *Client) askUnlessStored(item signer.PassphraseFunc) signer.PassphraseFunc {
	if item == nil {
		return c.ask
	}
	return func(ctx context.Context, prompt string) ([]byte, error) {
		secret, err := item(ctx, prompt)
		if signer.IsAbsent(err) {
			return c.ask(ctx, prompt)
		}
		return secret, err
	}
}

func (c *Client) setUp() {
	c.once.Do(func() {
		c.keeper = &signer.Keeper{Backend: signer.OpenFunc(c.openStore)}
		c.client = c.config().Client(c.keeper, c.query())
		c.client.HTTP = c.challengeHTTP()
	})
}

func (c *Client) challengeHTTP() *http.Client {
	if c.Base == nil {
		return nil
	}
	return &http.Client{Transport: c.Base}
}

func (c *Client) config() *config.Config {
	if c.Config == nil {
		return &config.Config{}
	}
	return c.Config
}

// HTTP returns a client for the app's own requests. It answers the challenges of
// registries with the key that is configured for each, or with Key, and shares opened
// keys with c. Make it once, so that its requests share their tokens.
func (c *Client) HTTP() *http.Client {
	c.setUp()
	return &http.Client{Transport: prompting{c, &challenge.Transport{Client: c.client, Base: c.Base}}}
}

// prompting tells the prompts of requests to the Client's function.
type prompting struct {
	client *Client
	*challenge.Transport
}

func (p prompting) RoundTrip(req *http.Request) (*http.Response, error) {
	return p.Transport.RoundTrip(req.WithContext(p.client.withPrompt(req.Context())))
}

func (c *Client) withPrompt(ctx context.Context) context.Context {
	return signer.WithPromptFunc(ctx, func(e signer.PromptEvent) {
		if c.Prompt != nil {
			c.Prompt(e)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tellChange() // the key may be unlocked now
	})
}

// OpenKey opens the key and makes none. A prompt may come. The Client keeps the opened
// key.
//
// Errors: those of [config.Choice.Open]; signer.ErrNotFound if there is no key.
func (c *Client) OpenKey(ctx context.Context) (signer.Signer, error) {
	s, _, err := c.open(ctx)
	return s, err
}

func (c *Client) open(ctx context.Context) (signer.Signer, config.Explanation, error) {
	c.setUp()
	s, e, err := c.choice().Open(c.withPrompt(ctx), c.keeper)
	if err == nil {
		c.remember(e.Tried[len(e.Tried)-1].Ref, s)
	}
	return s, e, err
}

func (c *Client) choice() config.Choice {
	q := c.query()
	q.Registry = c.Server.URL()
	return c.config().Choose(q)
}

func (c *Client) query() config.Query {
	q := config.Here("")
	q.Program = c.Key
	return q
}

// EnsureKey opens the key, or makes a new one if there is none. A prompt may come.
//
// It makes a key only if the store of each configured reference was asked and has no
// key, or is not on this machine. A key that is locked, refused, damaged or readable by
// others, and a store that does not answer, are errors. The new key gets the first
// reference whose store is there and can make keys: with the built-in order
// keyring:ollama, or file:~/.ollama/id_ed25519 on a machine without a keychain.
//
// Several goroutines and processes may call EnsureKey at once; all get the same key. A
// process that was killed leaves no key or a whole one, which the next call finds.
//
// Errors: those of [config.Choice.Open]; [signer.ErrDenied] if the store cannot be
// written, such as a home directory on a read-only disk.
func (c *Client) EnsureKey(ctx context.Context) (signer.Signer, error) {
	s, e, err := c.open(ctx)
	if !errors.Is(err, signer.ErrNotFound) {
		return s, err
	}
	if err := c.checkUsedBefore(e); err != nil {
		return nil, err
	}
	ref, store, name := c.placeForKey(e)
	if store == nil {
		return nil, err
	}
	_, made := store.Generate(c.withPrompt(ctx), name)
	if made != nil && !errors.Is(made, signer.ErrExists) { // another process was quicker
		return nil, fmt.Errorf("make a key: %w", signer.Wrap("generate", ref, made))
	}
	return c.OpenKey(ctx)
}

// checkUsedBefore returns an error if the key that was used before is in a store that is
// not there now, as when the session bus is not running.
func (c *Client) checkUsedBefore(e config.Explanation) error {
	c.mu.Lock()
	used := c.loadRecord()
	c.mu.Unlock()
	for _, t := range e.Tried {
		if t.Ref == used.Ref && errors.Is(t.Err, signer.ErrUnavailable) {
			return signer.Wrap("open", t.Ref, fmt.Errorf("the key %s was used before: %w", used.Fingerprint, t.Err))
		}
	}
	return nil
}

// placeForKey returns the first reference of e whose store answered that it has no such
// key and can make keys; a nil store if there is none.
func (c *Client) placeForKey(e config.Explanation) (ref string, store signer.Generator, name string) {
	for _, t := range e.Tried {
		if !errors.Is(t.Err, signer.ErrNotFound) {
			continue
		}
		b, name, err := c.Keys.Resolve(t.Ref)
		if g, ok := b.(signer.Generator); err == nil && ok {
			return t.Ref, g, name
		}
	}
	return "", nil, ""
}

// Page returns the address of the page where a person adds key to an account at Server.
// The page shows the name of this machine. Page sends nothing and works offline.
//
// Errors: challenge.ErrRealm if Server has plain http and is not this machine.
func (c *Client) Page(key signer.Signer) (string, error) {
	if err := c.config().Policy().CheckPlain(c.Server); err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	if c.Launch {
		return challenge.AppSignInURL(c.Server.String(), key.PublicKey(), host)
	}
	return challenge.SignInURL(c.Server.String(), key.PublicKey(), host)
}
