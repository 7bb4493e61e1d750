package gate_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/internal/redistest"
	"github.com/countersign/countersign/signer"
)

// replicas are two gates for one origin with one Redis server.
type replicas struct {
	t     *testing.T
	first *gatetest.Gate
	urls  [2]string
	key   signer.Signer
}

func startReplicas(t *testing.T, s *redistest.Server) *replicas {
	t.Helper()
	g := gatetest.Start(t, gatetest.Options{Change: func(text string) string {
		return strings.NewReplacer(
			`# redis = "redis://127.0.0.1:6379/0"`, `redis = "`+s.URL+`"`,
			"per_address = 50", "per_address = 100000", "per_key = 100", "per_key = 100000",
		).Replace(text)
	}})
	r := &replicas{t: t, first: g, key: gatetest.NewKey(t)}
	g.Enrol(map[string]signer.Signer{"alice": r.key})
	second, err := gate.New(g.Config, gate.Options{Keys: backends.New(), Log: slog.New(slog.DiscardHandler), Decisions: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gatetest.Serve(t, second, l)
	r.urls = [2]string{g.URL, "http://" + l.Addr().String()}
	return r
}

// A signedRequest is a signed token request.
type signedRequest struct {
	target, authorization string
	ts                    int64
}

func (r *replicas) sign() signedRequest {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	ts := time.Now().Unix()
	query := url.Values{
		"service": {r.first.Config.Sites[0].Service()}, "nonce": {base64.RawURLEncoding.EncodeToString(nonce)}, "ts": {strconv.FormatInt(ts, 10)},
		"scope": {"repository:users/alice/model:pull"},
	}
	target := "/token?" + query.Encode()
	authorization, err := challenge.Sign(r.t.Context(), r.key, challenge.TokenText(r.first.Origin+target))
	if err != nil {
		r.t.Error(err)
	}
	return signedRequest{target, authorization, ts}
}

// send returns the status of the reply of a replica.
func (r *replicas) send(replica int, s signedRequest) int {
	req, err := http.NewRequest(http.MethodGet, r.urls[replica%2]+s.target, nil)
	if err != nil {
		r.t.Error(err)
		return 0
	}
	req.Host = strings.TrimPrefix(r.first.Origin, "http://")
	req.Header.Set("Authorization", s.authorization)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		r.t.Error(err)
	}
	return res.StatusCode
}

func TestRule11_ReplicasGiveOneToken(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, redistest.New(t))
	for r.send(0, r.sign()) != http.StatusOK { // until the epoch of the server
	}
	s := r.sign()
	var tokens atomic.Int32
	var tasks sync.WaitGroup
	begin := make(chan struct{})
	for i := range 1000 {
		tasks.Go(func() {
			<-begin
			switch status := r.send(i, s); status {
			case http.StatusOK:
				tokens.Add(1)
			case http.StatusUnauthorized, http.StatusServiceUnavailable:
			default:
				t.Errorf("status %d", status)
			}
		})
	}
	close(begin)
	tasks.Wait()
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens for one request", n)
	}
}

// traffic are honest clients, and one that sends granted requests again.
type traffic struct {
	*replicas
	phase atomic.Int32

	mu      sync.Mutex
	granted []granted
	seen    map[reply]int
	changed chan struct{} // closed at the next reply
}

// granted is a request that got a token, and the phase in which it was sent.
type granted struct {
	signedRequest
	phase int32
}

// A reply is the status of the reply to an honest request that began and ended in a phase.
type reply struct {
	phase  int32
	status int
}

// run sends requests to both replicas until ctx ends.
func (tr *traffic) run(ctx context.Context) {
	var tasks sync.WaitGroup
	for replica := range 4 {
		tasks.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for ctx.Err() == nil {
				tr.note(tr.phase.Load(), tr.sign(), replica)
				<-pace.C
			}
		})
	}
	tasks.Go(func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			tr.replay(tr.grantedSoFar(), n)
			<-pace.C
		}
	})
	tasks.Wait()
}

func (tr *traffic) note(phase int32, s signedRequest, replica int) {
	status := tr.send(replica, s)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if status == http.StatusOK {
		tr.granted = append(tr.granted, granted{s, phase})
	}
	if tr.phase.Load() == phase {
		tr.seen[reply{phase, status}]++
		close(tr.changed)
		tr.changed = make(chan struct{})
	}
}

func (tr *traffic) grantedSoFar() []granted {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.granted[:len(tr.granted):len(tr.granted)]
}

// replay sends the n-th of some granted requests once more.
func (tr *traffic) replay(all []granted, n int) {
	if len(all) > 0 && tr.send(n/len(all), all[n%len(all)].signedRequest) == http.StatusOK {
		tr.t.Error("a request was granted twice")
	}
}

// replayMany sends 50 of the requests that were granted so far to both replicas once
// more: those of all phases, spread evenly.
func (tr *traffic) replayMany() {
	all := tr.grantedSoFar()
	var some []granted
	for n := range 50 {
		some = append(some, all[n*len(all)/50])
	}
	for n := range 2 * len(some) {
		tr.replay(some, n)
	}
}

// await waits until a status was seen 20 times in the present phase.
func (tr *traffic) await(status int) {
	for {
		tr.mu.Lock()
		n, changed := tr.seen[reply{tr.phase.Load(), status}], tr.changed
		tr.mu.Unlock()
		if n >= 20 {
			return
		}
		<-changed
	}
}

// next begins a phase.
func (tr *traffic) next() int32 { return tr.phase.Add(1) }

// However Redis is lost under load, no token is given meanwhile, no request is accepted
// twice, and honest requests are granted again afterwards.
func TestRule12_ReplicasLoseRedis(t *testing.T) {
	t.Parallel()
	s := redistest.New(t)
	client := s.Client()
	tr := &traffic{replicas: startReplicas(t, s), seen: map[reply]int{}, changed: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { tr.run(ctx) })
	defer running.Wait()
	defer stop()
	wantReady := func(want int, reason string) {
		t.Helper()
		if code, body := admin(t, tr.first, "/readyz"); code != want || !strings.Contains(body, reason) {
			t.Errorf("/readyz: %d %s", code, body)
		}
	}
	policy := func(policy string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
	}
	tr.await(http.StatusOK)

	s.Stop()
	stopped, lost := tr.next(), time.Now()
	tr.await(http.StatusServiceUnavailable)
	wantReady(http.StatusServiceUnavailable, "the store of used requests does not answer")
	started := tr.next()
	s.Start()
	tr.await(http.StatusOK)
	tr.replayMany()
	wantReady(http.StatusOK, "ok")

	flushing := time.Now()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	flushed := tr.next()
	tr.await(http.StatusOK)
	tr.replayMany()

	policy("allkeys-lru")
	evicting := tr.next()
	tr.await(http.StatusServiceUnavailable)
	wantReady(http.StatusServiceUnavailable, "allkeys-lru, and noeviction is needed")
	tr.next()
	policy("noeviction")
	tr.await(http.StatusOK)
	tr.replayMany()

	stop()
	running.Wait()
	for _, phase := range []int32{stopped, evicting} {
		if n := tr.seen[reply{phase, http.StatusOK}]; n != 0 {
			t.Errorf("phase %d: %d requests were granted without a usable Redis", phase, n)
		}
	}
	for _, g := range tr.granted {
		for phase, loss := range map[int32]time.Time{started: lost, flushed: flushing} {
			if g.phase == phase && time.Unix(g.ts, 0).Before(loss) {
				t.Errorf("phase %d: a request was granted that was signed before the memory of Redis was lost", phase)
			}
		}
	}
	t.Logf("%d requests were granted: %v", len(tr.granted), tr.seen)
}
