package challenge

import (
	"context"
	"log/slog"
	"time"
)

// A Trace is told each step of a [Client] and a [Transport], as
// [net/http/httptrace.ClientTrace] is told each step of a connection. Any function
// may be nil. The functions are called by the goroutine that does the work, several
// at once, and also after the request has ended, because a token may be renewed
// then. They must not block. They never get a secret.
type Trace struct {
	// Challenged: a server answered 401 with a challenge that the policy allows.
	Challenged func(Event)
	// Refused: a server answered 401 with a challenge that the policy refuses, or
	// that cannot be read. Err tells why.
	Refused func(Event)
	// KeyOpened: Client.Key returned a signer for the first time for a registry.
	KeyOpened func(Event)
	// KeyChanged: Client.Key returned another key than before for a registry.
	KeyChanged func(Event)
	// KeyFailed: Client.Key returned an error.
	KeyFailed func(Event)
	// Exchanging: a token request is about to be signed.
	Exchanging func(Event)
	// Exchanged: it ended, with a token or with Err.
	Exchanged func(Event)
	// Rejected: a server refused a token.
	Rejected func(Event)
}

// An Event is one step of the token flow. Fields that do not apply are zero.
type Event struct {
	Registry string // origin
	Realm    string
	Service  string
	Scope    string
	Key      string        // fingerprint
	Previous string        // fingerprint of the key before a change
	Ref      string        // reference of the key, if the signer tells it
	Try      int           // from 1
	Took     time.Duration // of this try
	Expires  time.Time     // of the token
	Err      error
}

type traceKey struct{}

// WithTrace returns a context for a request whose steps are told to t. If several
// requests wait for one exchange, the Trace of the first request is told.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// LogTrace returns a Trace that writes to l: failures, refusals and changed keys at
// level Warn, everything else at level Debug.
func LogTrace(l *slog.Logger) *Trace {
	log := func(level slog.Level, message string) func(Event) {
		return func(e Event) {
			l.LogAttrs(context.Background(), max(level, e.level()), message, e.attrs()...)
		}
	}
	return &Trace{
		Challenged: log(slog.LevelDebug, "challenged"),
		Refused:    log(slog.LevelWarn, "challenge refused"),
		KeyOpened:  log(slog.LevelDebug, "key opened"),
		KeyChanged: log(slog.LevelWarn, "key changed"),
		KeyFailed:  log(slog.LevelWarn, "key not opened"),
		Exchanging: log(slog.LevelDebug, "asking for a token"),
		Exchanged:  log(slog.LevelDebug, "asked for a token"),
		Rejected:   log(slog.LevelWarn, "token rejected"),
	}
}

func (e Event) level() slog.Level {
	if e.Err != nil {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (e Event) attrs() []slog.Attr {
	var attrs []slog.Attr
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	text("registry", e.Registry)
	text("realm", e.Realm)
	text("service", e.Service)
	text("scope", e.Scope)
	text("key", e.Key)
	text("previous", e.Previous)
	text("ref", e.Ref)
	if e.Try != 0 {
		attrs = append(attrs, slog.Int("try", e.Try))
	}
	if e.Took != 0 {
		attrs = append(attrs, slog.Duration("took", e.Took))
	}
	if !e.Expires.IsZero() {
		attrs = append(attrs, slog.Time("expires", e.Expires))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return attrs
}

// event returns an Event about r and a key.
func (r *tokenRequest) event(id keyID) Event {
	return Event{
		Registry: r.registry.String(), Realm: r.realmText, Service: r.service, Scope: r.scope,
		Key: id.fingerprint, Ref: id.ref,
	}
}

// A hook chooses a function of a Trace.
type hook func(*Trace) func(Event)

func challenged(t *Trace) func(Event) { return t.Challenged }
func refused(t *Trace) func(Event)    { return t.Refused }
func keyOpened(t *Trace) func(Event)  { return t.KeyOpened }
func keyChanged(t *Trace) func(Event) { return t.KeyChanged }
func keyFailed(t *Trace) func(Event)  { return t.KeyFailed }
func exchanging(t *Trace) func(Event) { return t.Exchanging }
func exchanged(t *Trace) func(Event)  { return t.Exchanged }
func rejected(t *Trace) func(Event)   { return t.Rejected }

// tell calls h of c.Trace and of the Trace of ctx with e.
func (c *Client) tell(ctx context.Context, h hook, e Event) {
	ofRequest, _ := ctx.Value(traceKey{}).(*Trace)
	cleaned := false
	for _, t := range []*Trace{c.Trace, ofRequest} {
		if t == nil || h(t) == nil {
			continue
		}
		if !cleaned {
			e, cleaned = c.cleanEvent(e), true
		}
		h(t)(e)
	}
}
