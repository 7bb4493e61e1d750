package proxy

import (
	"fmt"
	"net/url"
	"testing"
)

// TestSetIsLimited wants a full set to keep its texts and to take no others.
func TestSetIsLimited(t *testing.T) {
	var s set
	for i := range maxRemembered {
		if !s.add(fmt.Sprint(i)) {
			t.Fatalf("no room for text %d", i)
		}
	}
	if s.add("another") || s.has("another") {
		t.Error("a full set took a text")
	}
	if !s.add("0") || !s.has("0") {
		t.Error("a full set does not have its text")
	}
	s.remove("0")
	if s.has("0") || !s.add("another") {
		t.Error("a text is not removed")
	}
	s.clear()
	if s.has("another") || len(s.sums) != 0 {
		t.Error("the set is not empty")
	}
}

// TestManyRealms wants a realm that cannot be remembered to end its request: its path could
// be asked for later.
func TestManyRealms(t *testing.T) {
	p := &Proxy{Upstream: &url.URL{Scheme: "https", Host: "registry.example.com"}}
	for i := range maxRemembered {
		if !p.learnRealm(fmt.Sprintf("https://registry.example.com/v2/token%d", i)) {
			t.Fatalf("realm %d was not learned", i)
		}
	}
	if p.learnRealm("https://registry.example.com/v2/another") {
		t.Error("one more realm was learned")
	}
	if !p.learnRealm("https://registry.example.com/v2/token0") {
		t.Error("a known realm counts as a new one")
	}
}
