package challenge

import (
	"context"
	"log/slog"
	"time"

	"github.com/countersign/countersign/internal/printable"
)

// A Trace is told what a [Client] and a [Transport] do, as
// [net/http/httptrace.ClientTrace] is told what a connection does. Any function
// may be nil. They are called by the goroutine that does the work, also several
// at once and after the request has ended (a token may be renewed then), must not
// block, and are never given a secret.
type Trace struct {
	// Challenged: a server answered 401 with a challenge that can be answered.
	Challenged func(Event)
	// Exchanging: a token request is about to be signed.
	Exchanging func(Event)
	// Exchanged: it came to an end, with a token or with Err.
	Exchanged func(Event)
	// Rejected: a server did not take a token that it, or its realm, had issued.
	Rejected func(Event)
}

// An Event says what a Trace is told about. Fields that do not apply are zero.
type Event struct {
	Registry string // origin
	Realm    string
	Service  string
	Scope    string
	Key      string        // fingerprint
	Ref      string        // reference of the key, if the signer tells
	Try      int           // from 1
	Took     time.Duration // of this try
	Expires  time.Time     // of the token
	Err      error
}

type traceKey struct{}

// WithTrace returns a context in which t is told what is done for a request. An
// exchange that several requests wait for is told to the one that started it.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// LogTrace returns a Trace that writes to l: failures and rejected tokens at
// level Warn, the rest at level Debug.
func LogTrace(l *slog.Logger) *Trace {
	log := func(level slog.Level, message string) func(Event) {
		return func(e Event) {
			l.LogAttrs(context.Background(), max(level, e.level()), message, e.attrs()...)
		}
	}
	return &Trace{
		Challenged: log(slog.LevelDebug, "challenged"),
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

// traceOf returns the Trace of ctx, or one that does nothing.
func traceOf(ctx context.Context) *Trace {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok && t != nil {
		return t
	}
	return &Trace{}
}

func (a *ask) event(k keyID) Event {
	return Event{
		Registry: a.origin, Realm: printable.Text(a.text), Service: printable.Text(a.service), Scope: printable.Text(a.scope),
		Key: k.fingerprint, Ref: k.ref,
	}
}

func (t *Trace) challenged(a *ask) {
	if t.Challenged != nil {
		t.Challenged(a.event(keyID{}))
	}
}

func (t *Trace) exchanging(x *exchange, try int) {
	if t.Exchanging != nil {
		e := x.ask.event(x.id)
		e.Try = try
		t.Exchanging(e)
	}
}

func (t *Trace) exchanged(x *exchange, try int, got *issued, err *Error, took time.Duration) {
	if t.Exchanged == nil {
		return
	}
	e := x.ask.event(x.id)
	e.Try, e.Took = try, took
	if err != nil {
		e.Err = err
	} else {
		e.Expires = got.expires
	}
	t.Exchanged(e)
}

func (t *Trace) rejected(token Token) {
	if t.Rejected != nil {
		e := token.ask.event(token.key)
		e.Expires = token.expires
		t.Rejected(e)
	}
}
