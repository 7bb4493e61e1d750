package registry_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/nonce"
	"github.com/countersign/countersign/signer"
)

func TestRule11_OneTokenForARequest(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Change: func(text string) string {
		return strings.NewReplacer("per_address = 50", "per_address = 1000", "per_key = 100", "per_key = 1000").Replace(text)
	}})
	r := ask(g)
	auth := r.sign(t, key)
	var tokens atomic.Int32
	var tasks sync.WaitGroup
	for range 100 {
		tasks.Go(func() {
			if r.send(t, g, auth).status == 200 {
				tokens.Add(1)
			}
		})
	}
	tasks.Wait()
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// A request that is refused for another reason can be sent again when the reason is gone.
func TestRule11_TheNonceIsTakenLast(t *testing.T) {
	g, key := gatetest.Start(t, gatetest.Options{}), gatetest.NewKey(t)
	r := ask(g, "repository:users/alice/a:pull")
	auth := r.sign(t, key)
	if got := r.send(t, g, auth); got.status != 401 {
		t.Fatalf("unknown key: %+v", got)
	}
	g.Enrol(map[string]signer.Signer{"bob": key})
	if got := r.send(t, g, auth); got.status != 403 {
		t.Fatalf("no grant: %+v", got)
	}
	g.Enrol(map[string]signer.Signer{"alice": key})
	if got := r.send(t, g, auth); got.status != 200 {
		t.Fatalf("granted: %+v", got)
	}
	if got := r.send(t, g, auth); got.status != 401 {
		t.Fatalf("used: %+v", got)
	}
}

func TestRule11_Window(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	for off, want := range map[time.Duration]int{-6 * time.Minute: 401, -4 * time.Minute: 200, 45 * time.Second: 401} {
		r := ask(g)
		r.query.Set("ts", strconv.FormatInt(time.Now().Add(off).Unix(), 10))
		if got := r.send(t, g, r.sign(t, key)); got.status != want {
			t.Errorf("%v: %+v, want %d", off, got, want)
		}
	}
}

// A lostStore does not answer.
type lostStore struct{}

var errLost = fmt.Errorf("%w: dial tcp 192.0.2.7:6379", nonce.ErrUnavailable)

func (lostStore) Take(context.Context, nonce.Key, time.Time) error { return errLost }

func (lostStore) Ready(context.Context) error { return errLost }

// Clients do not learn where the store is.
func TestRule12_LostStore(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Nonces: lostStore{}})
	if got := exchange(t, g, key); got.status != 503 || got.Token != "" || strings.Contains(got.Error, "192.0.2.7") {
		t.Errorf("%+v", got)
	}
}
