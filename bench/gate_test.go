package main

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// The targets of the gate, which the page shows in bold type if they are met.
const (
	leastTokens = 0.5 // token requests, of what one ed25519.Verify and one ed25519.Sign allow
	leastAPI    = 0.7 // signed requests to the API, of a plain httputil.ReverseProxy
)

// The entries of the gate's contests.
const (
	verifyAndSign = "`ed25519.Verify` and `ed25519.Sign` alone"
	makeRequest   = "making a token request"
	makeText      = "making a token request as it is sent"
	handleToken   = "countersignd, the handler of a token request"
	sendToken     = "the same with its connection and the client"

	noProxy      = "no proxy"
	reverseProxy = "`httputil.ReverseProxy`"
	gateSigned   = "countersignd, signed request"
)

const (
	idleStreams    = 500
	pieces         = 20 // of a chat
	firstByteTries = 100
)

// gateTables are the results of the gate.
type gateTables struct {
	Token, API, Stream, Memory table
	LeastTokens, LeastAPI      float64
	Streams, Pieces            int
}

// measureGate measures the gate beside a plain reverse proxy.
func measureGate(t *testing.T) gateTables {
	return gateTables{
		Token: tokenTable(t), API: apiTable(t), Stream: firstByteTable(t), Memory: memoryTable(t),
		LeastTokens: leastTokens, LeastAPI: leastAPI, Streams: idleStreams, Pieces: pieces,
	}
}

// tokenTable compares token requests per second and core with what one verification and
// one signature allow.
func tokenTable(t *testing.T) table {
	f := startGate(t, startOllama(t))
	all := contest{"Token", []entry{
		{verifyAndSign, func(b *testing.B) {
			private, _ := newKey(b)
			public, signature := private.Public().(ed25519.PublicKey), ed25519.Sign(private, message)
			loop(b, func() {
				if !ed25519.Verify(public, message, signature) {
					b.Fatal("not verified")
				}
				ed25519.Sign(private, message)
			})
		}},
		{makeRequest, func(b *testing.B) { loop(b, func() { f.tokenRequest(b) }) }},
		{handleToken, func(b *testing.B) { loop(b, func() { f.handleToken(b) }) }},
		{makeText, func(b *testing.B) { loop(b, func() { f.tokenText(b) }) }},
		{sendToken, func(b *testing.B) {
			w := f.dial(b)
			loop(b, func() {
				if err := w.exchange(f.tokenText(b)); err != nil {
					b.Fatal(err)
				}
			})
		}},
	}}.measure(t)
	base := find(all, verifyAndSign)
	handled := find(all, handleToken).added(find(all, makeRequest))
	sent := find(all, sendToken).added(find(all, makeText))
	out := table{head: []string{"", "µs", "per second and core", "ratio", "allocations"}}
	for _, m := range []measurement{base, handled, sent} {
		ratio := base.over(m)
		out.rows = append(out.rows, []string{
			m.name, significant(m.median() / units["µs"]), significant(1e9 / m.median()),
			mark(significant(ratio), m.name == handleToken && ratio >= leastTokens), fmt.Sprint(m.allocs),
		})
	}
	return out
}

func (f front) handleToken(tb testing.TB) {
	tb.Helper()
	w := &reply{header: http.Header{}}
	f.handler.ServeHTTP(w, f.tokenRequest(tb))
	if w.status != http.StatusOK {
		tb.Fatalf("status %d", w.status)
	}
}

// apiTable compares signed requests per second with those of a plain reverse proxy: a
// short request, and a chat.
func apiTable(t *testing.T) table {
	all := fronts(t, startOllama(t))[1:]
	out := table{head: []string{"", "µs", "ratio of the requests per second", "allocations"}}
	for _, call := range []struct{ method, path string }{{http.MethodGet, "/api/tags"}, {http.MethodPost, "/api/chat"}} {
		c := contest{name: call.path}
		for _, f := range all {
			c.entries = append(c.entries, entry{f.name, func(b *testing.B) {
				request := f.apiRequest(b, call.method, call.path)
				loop(b, func() {
					if err := fetch(request); err != nil {
						b.Fatal(err)
					}
				})
			}})
		}
		measured := c.measure(t)
		base := find(measured, reverseProxy)
		for _, m := range measured {
			ratio := base.over(m)
			out.rows = append(out.rows, []string{
				"`" + call.path + "`: " + m.name, significant(m.median() / units["µs"]),
				mark(significant(ratio), m.name == gateSigned && ratio >= leastAPI), fmt.Sprint(m.allocs),
			})
		}
	}
	return out
}

// fetch sends a request with a usual client.
func fetch(req *http.Request) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

type namedFront struct {
	name string
	front
}

// fronts are the upstream itself, a plain reverse proxy and a gate.
func fronts(t *testing.T, upstream string) []namedFront {
	_, key := newKey(t)
	return []namedFront{
		{noProxy, front{address: strings.TrimPrefix(upstream, "http://"), origin: upstream, key: key}},
		{reverseProxy, startReverseProxy(t, upstream)},
		{gateSigned, startGate(t, upstream)},
	}
}

// startOllama starts a stand-in for an Ollama server with 20 models. A chat is a
// stream of pieces.
func startOllama(tb testing.TB) (url string) {
	model := `{"name":"llama3.2:latest","model":"llama3.2:latest","modified_at":"2026-11-28T12:00:00Z","size":2019393189,` +
		`"digest":"a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",` +
		`"details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"3.2B","quantization_level":"Q4_K_M"}}`
	tags := `{"models":[` + strings.Repeat(model+",", 19) + model + `]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/tags" {
			io.WriteString(w, tags)
			return
		}
		for range pieces {
			io.WriteString(w, `{"model":"llama3.2","created_at":"2026-11-28T12:00:00Z","message":{"role":"assistant","content":" piece"},"done":false}`+"\n")
			http.NewResponseController(w).Flush()
		}
	}))
	tb.Cleanup(server.Close)
	return server.URL
}

// firstByteTable has the times from a request until the first byte of the body of a
// stream.
func firstByteTable(t *testing.T) table {
	all := fronts(t, startOllama(t))
	times := make([]measurement, len(all))
	for range rounds {
		for i, f := range all {
			times[i].ns = append(times[i].ns, firstByte(t, f.front, firstByteTries))
		}
	}
	out := table{head: []string{"", "µs until the first byte", "µs added"}}
	for i, f := range all {
		out.rows = append(out.rows, []string{f.name, significant(times[i].median() / units["µs"]), significant(times[i].added(times[0]).median() / units["µs"])})
	}
	out.rows[0][2] = "-"
	return out
}

// firstByte returns the median of some tries, in nanoseconds.
func firstByte(t *testing.T, f front, tries int) float64 {
	t.Helper()
	var all []float64
	w, request := f.dial(t), f.apiText(t, http.MethodPost, "/api/chat")
	for range tries {
		start := time.Now()
		_, err := w.send(request)
		if err == nil {
			_, err = w.in.Peek(1)
		}
		all = append(all, float64(time.Since(start)))
		if err == nil {
			err = w.rest(-1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return median(all)
}

// memoryTable has the memory of each of many streams that are idle.
func memoryTable(t *testing.T) table {
	upstream := startIdle(t)
	all := fronts(t, upstream)
	var held []float64
	for _, f := range all {
		held = append(held, heldByStreams(t, f.front, idleStreams))
	}
	out := table{head: []string{"", "KiB of each idle stream", "ratio"}}
	for i, f := range all[1:] {
		own, base := held[i+1]-held[0], held[1]-held[0]
		out.rows = append(out.rows, []string{f.name, significant(own / 1024), significant(own / base)})
	}
	return out
}

// heldByStreams returns the bytes of the heap and of stacks for each of n streams, whose
// first piece has arrived.
func heldByStreams(t *testing.T, f front, n int) float64 {
	t.Helper()
	request := f.apiText(t, http.MethodPost, "/api/chat")
	goroutines, before := runtime.NumGoroutine(), inUse()
	var open []wire
	for range n {
		w := f.dial(t)
		open = append(open, w)
		if _, err := w.send(request); err != nil {
			t.Fatal(err)
		}
		if _, err := w.in.Peek(1); err != nil {
			t.Fatal(err)
		}
	}
	held := inUse() - before
	for _, w := range open {
		w.Close()
	}
	for runtime.NumGoroutine() > goroutines { // the streams still end
		runtime.Gosched()
	}
	return held / float64(n)
}

// inUse returns the bytes of the heap and of stacks.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // pools are empty after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// startIdle starts a server that answers each request with the first piece of a stream
// and then does nothing. It keeps no goroutine for a connection.
func startIdle(t *testing.T) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	var open []net.Conn
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			open = append(open, c)
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n")
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		tasks.Wait()
		for _, c := range open {
			c.Close()
		}
	})
	return "http://" + l.Addr().String()
}

// TestGateMeasures runs each measure of the gate once.
func TestGateMeasures(t *testing.T) {
	ollama := startOllama(t)
	for _, f := range fronts(t, ollama) {
		err := errors.Join(fetch(f.apiRequest(t, http.MethodGet, "/api/tags")), fetch(f.apiRequest(t, http.MethodPost, "/api/chat")))
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		if took := firstByte(t, f.front, 2); took <= 0 {
			t.Errorf("%s: the first byte after %v ns", f.name, took)
		}
	}
	f := startGate(t, ollama)
	f.handleToken(t)
	w, request := f.dial(t), f.tokenText(t)
	if err := w.exchange(request); err != nil {
		t.Error(err)
	}
	if err := w.exchange(request); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("the same request again: %v", err)
	}
	for _, f := range fronts(t, startIdle(t)) {
		t.Logf("%s: %.0f bytes", f.name, heldByStreams(t, f.front, 10))
	}
}
