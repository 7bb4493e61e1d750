package challenge

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

func TestCacheIsBounded(t *testing.T) {
	now := time.Unix(1700000000, 0)
	realm := &url.URL{Scheme: "https", Host: "r.example"}
	var c cache
	put := func(i int) Token {
		token := Token{&issued{
			secret:  func() string { return strconv.Itoa(i) },
			from:    now,
			expires: now.Add(time.Hour + time.Duration(i)*time.Second),
			ask:     (&ask{realm: realm}).withScope(strconv.Itoa(i)),
		}}
		c.put(token, now)
		return token
	}
	var last Token
	for i := range 10 * maxTokens {
		last = put(i)
	}
	if len(c.tokens) > maxTokens {
		t.Errorf("%d tokens, want at most %d", len(c.tokens), maxTokens)
	}
	if c.get(last.ask.need(keyID{})) != last {
		t.Error("the last token is gone")
	}
	now = now.Add(24 * time.Hour) // all have expired
	put(1)
	if len(c.tokens) != 1 {
		t.Errorf("%d tokens after all have expired, want the new one", len(c.tokens))
	}
}

func TestDropLeavesTheSuccessor(t *testing.T) {
	var c cache
	token := func() Token {
		return Token{&issued{secret: func() string { return "same text" }, expires: time.Now().Add(time.Hour), ask: &ask{}}}
	}
	old, successor := token(), token()
	c.put(old, time.Now())
	c.put(successor, time.Now())
	c.drop(old)
	if c.get(need{}) != successor {
		t.Error("dropping the old token took its successor")
	}
	c.drop(successor)
	if c.get(need{}) != (Token{}) {
		t.Error("the dropped token is still there")
	}
}

func TestKnownIsBounded(t *testing.T) {
	var k known
	for i := range 10 * maxKnown {
		from := httpsOrigin(strconv.Itoa(i) + ".example")
		req := &http.Request{URL: &url.URL{Path: "/v2/a/manifests/latest"}}
		k.learn(placeOf(from, req), (&ask{}).withScope("repository:a:pull"))
	}
	if len(k.places) > maxKnown || len(k.guess) > maxKnown {
		t.Errorf("%d places and %d guesses, want at most %d", len(k.places), len(k.guess), maxKnown)
	}
}
