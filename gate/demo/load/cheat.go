package main

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// A cheat is a dishonest request, which must be refused.
type cheat struct {
	name string
	send func(ctx context.Context, l *load) error
}

// cheats are tried besides the requests with removed keys.
var cheats = []cheat{
	{"token for an unknown key", func(ctx context.Context, l *load) error {
		_, err := l.token(ctx, l.stranger, modelScope(l.stranger))
		return err
	}},
	{"API with an unknown key", func(ctx context.Context, l *load) error {
		return l.call(ctx, l.kept, l.stranger, http.MethodGet, "/api/tags", tags)
	}},
	{"token for a used request", replay},
	{"token for the model of another", func(ctx context.Context, l *load) error {
		_, err := l.token(ctx, l.operator, modelScope(l.users[0].identity()))
		return err
	}},
	{"altered token", func(ctx context.Context, l *load) error {
		i := l.users[0].identity()
		return l.pull(ctx, i, alter(i.kept))
	}},
	{"altered address of a blob", func(ctx context.Context, l *load) error {
		i := l.users[0].identity()
		return l.want(ctx, l.kept, strings.Replace(i.blob, "&mac=", "&mac=A", 1), "", string(model(i)))
	}},
}

// identity returns the present identity of a user.
func (u *user) identity() *identity {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.now
}

// alter changes the last byte of the claims of a token.
func alter(token string) string {
	parts := strings.Split(token, ".")
	claims := []byte(parts[1])
	claims[len(claims)/2] ^= 1
	parts[1] = string(claims)
	return strings.Join(parts, ".")
}

// replay gets a token for a request, and sends the request again.
func replay(ctx context.Context, l *load) error {
	req, err := l.signed(ctx, l.operator, "repository:users/operator/none:pull")
	if err != nil {
		return nil
	}
	start := time.Now()
	_, err = l.readToken(req)
	l.tally.sent("token for a signature", time.Since(start), err)
	_, err = l.readToken(req)
	return err
}

// tryRemoved sends the n-th request with a key that was removed, if there is one.
func (l *load) tryRemoved(ctx context.Context, n int) {
	if i := l.gone.nth(n / len(kinds)); i != nil {
		k := kinds[n%len(kinds)]
		l.tally.tried(k.name+", removed key", k.send(ctx, l, i))
	}
}
