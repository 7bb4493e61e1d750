package challengetest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge/challengetest"
)

func TestTLS(t *testing.T) {
	for _, memory := range []bool{false, true} {
		r := start(t, challengetest.Config{TLS: true, CDN: true, Login: true, InMemory: memory})
		digest := r.AddImage("library/llama3", "latest", []byte("layer"))[0]
		if !strings.HasPrefix(r.URL, "https://127.0.0.1:") || !strings.HasPrefix(r.Realm(), "https://") {
			t.Errorf("URL %s, realm %s", r.URL, r.Realm())
		}
		at := get(t, r, r.URL+"/v2/library/llama3/blobs/"+digest, token(t, r, pull)).header.Get("Location")
		get(t, r, at, "").want(t, http.StatusOK, "layer")
	}
}

// TestInMemory works in a bubble, where the clock jumps to the end of each sleep.
func TestInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, challengetest.Config{InMemory: true, TTL: 24 * time.Hour})
		bearer := token(t, r, pull)
		time.Sleep(24*time.Hour - time.Nanosecond)
		get(t, r, r.URL+"/v2/", bearer).want(t, http.StatusOK, "{}")
		time.Sleep(time.Nanosecond)
		get(t, r, r.URL+"/v2/", bearer).want(t, http.StatusUnauthorized, "")

		if got := get(t, r, "http://192.0.2.1/", ""); got.err == nil {
			t.Errorf("a host that is not there answers: %+v", got)
		}
	})
}

func TestConcurrentClients(t *testing.T) {
	const clients, blobs = 16, 16
	r := start(t, challengetest.Config{})
	r.Fail(challengetest.Tokens, clients, challengetest.TokenReply(func(map[string]any) {}))
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			name := fmt.Sprintf("me/model%d", i)
			digest := r.AddImage(name, "latest", []byte(name))[0]
			bearer := token(t, r, "repository:"+name+":pull")
			for range blobs {
				get(t, r, r.URL+"/v2/"+name+"/blobs/"+digest, bearer).want(t, http.StatusOK, name)
			}
			get(t, r, r.URL+"/v2/me/model/manifests/latest", bearer).want(t, http.StatusUnauthorized, "")
		})
	}
	wg.Wait()
	want := challengetest.Stats{
		Resources: clients * (blobs + 1), Challenges: clients,
		Exchanges: clients, Tokens: clients, Signatures: clients,
	}
	if diff := cmp.Diff(want, r.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestQuotedService(t *testing.T) {
	r := start(t, challengetest.Config{Service: `a "b" \ c`})
	got := get(t, r, r.URL+"/v2/", "").challenge()
	if want := `Bearer realm="URL/v2/token",service="a \"b\" \\ c"`; got != want {
		t.Errorf("challenge %s, want %s", got, want)
	}
}
