package challenge

import (
	"sync"
	"time"
)

// maxTokens bounds what a Client remembers.
const maxTokens = 1000

// need is what a token is good for, and so what tokens are remembered by.
type need struct {
	what string // origin, realm, service and the scope's normal form
	key  string // fingerprint
}

func (n need) String() string { return n.what + "\x00" + n.key }

// A cache remembers tokens. The zero value is empty.
type cache struct {
	mu     sync.Mutex
	tokens map[need]Token
}

// get returns the token for n, or the zero Token.
func (c *cache) get(n need) Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens[n]
}

func (c *cache) put(t Token, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[need]Token{}
	}
	if len(c.tokens) >= maxTokens {
		c.makeRoom(now)
	}
	c.tokens[t.ask.need(t.key)] = t
}

// makeRoom drops what has expired and the token that expires next.
func (c *cache) makeRoom(now time.Time) {
	var next Token
	for n, t := range c.tokens {
		if !t.usableAt(now) {
			delete(c.tokens, n)
		} else if next.issued == nil || t.expires.Before(next.expires) {
			next = t
		}
	}
	if next.issued != nil {
		delete(c.tokens, next.ask.need(next.key))
	}
}

// drop forgets a token that the server did not take, unless another has come in
// its place.
func (c *cache) drop(rejected Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := rejected.ask.need(rejected.key); c.tokens[n] == rejected {
		delete(c.tokens, n)
	}
}
