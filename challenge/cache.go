package challenge

import (
	"container/heap"
	"container/list"
	"crypto"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// defaultCacheBytes is the limit of a cache if Client.CacheBytes is 0.
	defaultCacheBytes = 32 << 20

	// entryBytes is about the size of an entry without its strings.
	entryBytes = 400
)

// A tokenKey tells tokens apart.
type tokenKey struct {
	request string // tokenRequest.id
	key     string // fingerprint
}

// lastKey is where a cache keeps the last key for an origin.
type lastKey struct{ origin Origin }

// template is where a cache keeps a request for a token for one repository. Requests
// for other repositories of the same origin probably differ in the name only.
type template struct{ origin Origin }

// A cache remembers tokens, token requests and the last key for each registry. When it
// is larger than its limit, it drops expired tokens and then the least recently used
// entries.
type cache struct {
	limit int // of bytes
	now   func() time.Time

	mu       sync.Mutex
	bytes    int                 // of all entries
	entries  map[any]*cacheEntry // by tokenKey, resource, template or lastKey
	used     list.List           // of *cacheEntry, the last one used first
	expiring expiryHeap          // those with a token
}

type cacheEntry struct {
	place   any // in cache.entries
	bytes   int
	used    *list.Element
	expires int // position in cache.expiring

	// One of these is set.
	token   Token
	request *tokenRequest
	key     usedKey
}

// token returns the token for key, or the zero Token.
func (c *cache) token(key tokenKey) Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(key).token
}

func (c *cache) putToken(t Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := t.key()
	c.put(key, cacheEntry{token: t, bytes: t.size()})
	c.shrink()
}

// dropToken forgets a token that the server did not accept, unless there is another
// one in its place.
func (c *cache) dropToken(t Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[t.key()]; e != nil && e.token == t {
		c.remove(e)
	}
}

// tokenRequest returns the token request that a request for r will probably need: the
// last one, or one made from the template. It returns nil if the cache has neither.
func (c *cache) tokenRequest(r resource) *tokenRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.get(r).request; last != nil {
		return last
	}
	similar := c.get(template{r.origin}).request
	if similar == nil || r.repository == "" || r.source != "" { // some servers ask for a scope of the source too
		return nil
	}
	expected := similar.withScope(r.scope())
	c.put(r, cacheEntry{request: expected, bytes: expected.size()})
	c.shrink()
	return expected
}

// putTokenRequest remembers that want was asked for when r was requested.
func (c *cache) putTokenRequest(r resource, want *tokenRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(r, cacheEntry{request: want, bytes: want.size()})
	if r.repository != "" && normalScope(want.scope) == r.scope() {
		c.put(template{r.origin}, cacheEntry{request: want, bytes: want.size()})
	}
	c.shrink()
}

// dropTokenRequest forgets the token request for r and the template of its origin.
func (c *cache) dropTokenRequest(r resource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range []any{r, template{r.origin}} {
		if e := c.entries[key]; e != nil {
			c.remove(e)
		}
	}
}

// swapKey remembers pub as the key for origin. It returns the fingerprint of pub, and
// that of the key before it or "".
func (c *cache) swapKey(origin Origin, pub ssh.PublicKey) (fingerprint, before string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.get(lastKey{origin}).key
	if last.is(pub) {
		return last.fingerprint, last.fingerprint
	}
	next := usedKey{pub, ssh.FingerprintSHA256(pub)}
	c.put(lastKey{origin}, cacheEntry{key: next, bytes: len(next.fingerprint) + len(pub.Marshal())})
	c.shrink()
	return next.fingerprint, last.fingerprint
}

// A usedKey is a key with its fingerprint, which is computed once. The zero value is
// no key.
type usedKey struct {
	public      ssh.PublicKey
	fingerprint string
}

// is reports whether pub is certainly the same key. It compares no security keys,
// which have an application beside the key.
func (k usedKey) is(pub ssh.PublicKey) bool {
	before, ok := k.public.(ssh.CryptoPublicKey)
	now, isCrypto := pub.(ssh.CryptoPublicKey)
	if !ok || !isCrypto || checkKind(pub) != nil || k.public.Type() != pub.Type() {
		return false
	}
	key, ok := before.CryptoPublicKey().(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(now.CryptoPublicKey())
}

// get returns the entry for key, which counts as used now, or an empty one. The
// caller holds c.mu.
func (c *cache) get(key any) cacheEntry {
	e := c.entries[key]
	if e == nil {
		return cacheEntry{}
	}
	c.used.MoveToFront(e.used)
	return *e
}

// put replaces the entry for key. The caller holds c.mu.
func (c *cache) put(key any, e cacheEntry) {
	if old := c.entries[key]; old != nil {
		c.remove(old)
	}
	if c.entries == nil {
		c.entries = map[any]*cacheEntry{}
	}
	e.place = key
	e.bytes += entryBytes
	c.bytes += e.bytes
	e.used = c.used.PushFront(&e)
	c.entries[key] = &e
	if e.token.issued != nil {
		heap.Push(&c.expiring, &e)
	}
}

// remove drops e. The caller holds c.mu.
func (c *cache) remove(e *cacheEntry) {
	delete(c.entries, e.place)
	c.bytes -= e.bytes
	c.used.Remove(e.used)
	if e.token.issued != nil {
		heap.Remove(&c.expiring, e.expires)
	}
}

// shrink drops entries until they take at most c.limit bytes. The caller holds c.mu.
func (c *cache) shrink() {
	for c.bytes > c.limit && len(c.expiring) > 0 && !c.expiring[0].token.usableAt(c.now()) {
		c.remove(c.expiring[0])
	}
	for c.bytes > c.limit && c.used.Len() > 0 {
		c.remove(c.used.Back().Value.(*cacheEntry))
	}
}

// An expiryHeap has the token that expires first at its top: see [heap.Interface].
type expiryHeap []*cacheEntry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].token.expires.Before(h[j].token.expires) }

func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].expires, h[j].expires = i, j
}

func (h *expiryHeap) Push(e any) {
	entry := e.(*cacheEntry)
	entry.expires = len(*h)
	*h = append(*h, entry)
}

func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	entry := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return entry
}
