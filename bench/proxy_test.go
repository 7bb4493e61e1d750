package main

import (
	"bufio"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/proxy"
)

// Limits of countersign proxy, beside httputil.ReverseProxy in the same run.
const (
	maxProxyMemory = 64 << 20 // bytes, at its peak
	maxBlobRatio   = 1.15     // of times
	minRateRatio   = 0.8      // of requests each second
)

const (
	bigBlob       = 1 << 30 // bytes
	proxyRounds   = 5
	proxyRequests = 20_000 // in a round
	proxyCallers  = 8
)

const proxyToken = "a-token-of-the-bench"

// openPlainRegistry starts a server that wants a token, and whose blobs are as long as their
// digest says. It does as little as possible itself.
func openPlainRegistry(tb testing.TB) *httptest.Server {
	tb.Helper()
	chunk, manifest := make([]byte, 64<<10), make([]byte, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/token":
			fmt.Fprintf(w, `{"token":%q,"expires_in":3600}`, proxyToken)
		case r.Header.Get("Authorization") != "Bearer "+proxyToken:
			actions := "pull"
			if r.Method == http.MethodPut {
				actions = "pull,push"
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/v2/token",service="bench",scope="repository:bench:%s"`, r.Host, actions))
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPut:
			n, _ := io.CopyBuffer(io.Discard, struct{ io.Reader }{r.Body}, make([]byte, 64<<10))
			fmt.Fprint(w, n)
		case strings.HasPrefix(r.URL.Path, "/v2/bench/blobs/"):
			left, _ := strconv.Atoi(filepath.Base(r.URL.Path))
			w.Header().Set("Content-Length", strconv.Itoa(left))
			for ; left > 0; left -= len(chunk) {
				if _, err := w.Write(chunk[:min(left, len(chunk))]); err != nil {
					return
				}
			}
		default:
			_, _ = w.Write(manifest)
		}
	}))
	tb.Cleanup(server.Close)
	return server
}

// A proxyProgram is a proxy that runs in a process of its own.
type proxyProgram struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
}

// startProxies starts countersign proxy and the standard library's.
func startProxies(tb testing.TB, upstream string) (own, other *proxyProgram) {
	tb.Helper()
	dir := tb.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, args := range map[string][]string{"countersign": {"-C", "..", "./cmd/countersign"}, "plainproxy": {"-C", ".", "./plainproxy"}} {
		if out, err := exec.Command("go", "build", args[0], args[1], "-o", at(name), args[2]).CombinedOutput(); err != nil {
			tb.Fatalf("building %s: %v\n%s", name, err, out)
		}
	}
	private, _ := newKey(tb)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(at("config.toml"), nil, 0o600), os.WriteFile(at("key"), pem.EncodeToMemory(block), 0o600)); err != nil {
		tb.Fatal(err)
	}
	environment := []string{"COUNTERSIGN_CONFIG=" + at("config.toml")}
	args := []string{"--quiet", "proxy", "--to", upstream, "--allow", "push", "--key", "file:" + at("key")}
	if !proxy.KnowsUsers {
		if err := os.WriteFile(at("token"), []byte(proxyToken), 0o600); err != nil {
			tb.Fatal(err)
		}
		args = append(args, "--token-file", at("token"))
	}
	return startProxy(tb, environment, at("countersign"), args...), startProxy(tb, nil, at("plainproxy"), upstream)
}

func startProxy(tb testing.TB, environment []string, name string, args ...string) *proxyProgram {
	tb.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("%s printed no address: %v", name, err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: proxyCallers, DisableCompression: true, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10}
	return &proxyProgram{cmd, strings.TrimSpace(line), &http.Client{Transport: transport}}
}

// send sends one request, and returns the number of bytes of the reply and the reply, if
// it is short. The plain proxy passes the client's token on; countersign's has its own.
func (p *proxyProgram) send(tb testing.TB, method, path string, body io.Reader, length int64) (int64, string) {
	req, err := http.NewRequest(method, p.url+path, body)
	if err != nil {
		tb.Error(err)
		return 0, ""
	}
	req.ContentLength = length
	req.Header.Set("Authorization", "Bearer "+proxyToken)
	resp, err := p.client.Do(req)
	if err != nil {
		tb.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	var start strings.Builder
	n, err := io.CopyN(&start, resp.Body, 500)
	if err == nil {
		var rest int64
		rest, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 64<<10))
		n += rest
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		tb.Errorf("%s %s: %s, %v", method, path, resp.Status, err)
	}
	return n, start.String()
}

// down reads a blob, and up writes one.
func (p *proxyProgram) down(tb testing.TB, size int64) time.Duration {
	start := time.Now()
	if n, _ := p.send(tb, http.MethodGet, fmt.Sprint("/v2/bench/blobs/", size), nil, 0); n != size {
		tb.Fatalf("%d bytes came of %d", n, size)
	}
	return time.Since(start)
}

func (p *proxyProgram) up(tb testing.TB, size int64) time.Duration {
	start := time.Now()
	if _, n := p.send(tb, http.MethodPut, "/v2/bench/blobs/uploads/1", &zeros{most: int(size)}, size); n != fmt.Sprint(size) {
		tb.Fatalf("%s bytes came of %d", n, size)
	}
	return time.Since(start)
}

// requests reads a manifest n times with several callers.
func (p *proxyProgram) requests(tb testing.TB, n int) time.Duration {
	start := time.Now()
	var callers sync.WaitGroup
	for range proxyCallers {
		callers.Go(func() {
			for range n / proxyCallers {
				p.send(tb, http.MethodGet, "/v2/bench/manifests/latest", nil, 0)
			}
		})
	}
	callers.Wait()
	return time.Since(start)
}

// TestProxy moves a blob that is larger than the memory that the proxy may have.
func TestProxy(t *testing.T) {
	own, other := startProxies(t, openPlainRegistry(t).URL)
	const size = 2 * maxProxyMemory
	for _, p := range []*proxyProgram{own, other} {
		p.down(t, size)
		p.up(t, size)
		p.requests(t, 10*proxyCallers)
	}
	peak, known := peakMemory(own.cmd.Process.Pid)
	if !known {
		t.Skip("SKIPPED: this system does not tell the memory of another process")
	}
	t.Logf("%d MiB at most", peak>>20)
	if peak >= maxProxyMemory {
		t.Errorf("the proxy had %d MiB at its peak, want less than %d", peak>>20, maxProxyMemory>>20)
	}
}

// A proxyResult is what the page says about the proxy.
type proxyResult struct {
	Table                  table
	Callers                int
	Memory, Down, Up, Rate string
}

// measureProxy moves blobs of the given size.
func measureProxy(t *testing.T, size int64) proxyResult {
	own, other := startProxies(t, openPlainRegistry(t).URL)
	var ours, theirs [3]measurement
	for round := range proxyRounds {
		for turn := range 2 {
			p, all := own, &ours
			if (round+turn)%2 == 1 { // each goes first at times
				p, all = other, &theirs
			}
			for i, d := range []time.Duration{p.down(t, size), p.up(t, size), p.requests(t, proxyRequests)} {
				all[i].ns = append(all[i].ns, float64(d))
			}
		}
	}
	r := proxyResult{Callers: proxyCallers}
	r.Table.head = []string{"", "countersign proxy", "httputil.ReverseProxy", "ratio"}
	for i, name := range []string{"s for a blob of 1 GB, down", "s for a blob of 1 GB, up"} {
		ratio := ours[i].over(theirs[i])
		*[]*string{&r.Down, &r.Up}[i] = significant(ratio)
		r.Table.rows = append(r.Table.rows, []string{name, significant(ours[i].median() / 1e9), significant(theirs[i].median() / 1e9), mark(significant(ratio), ratio <= maxBlobRatio)})
	}
	rate := theirs[2].over(ours[2]) // times are the inverse of rates
	r.Rate = significant(rate)
	perSecond := func(m measurement) string { return significant(proxyRequests / m.median() * 1e9) }
	r.Table.rows = append(r.Table.rows, []string{"requests each second", perSecond(ours[2]), perSecond(theirs[2]), mark(significant(rate), rate >= minRateRatio)})
	r.Memory = "unknown"
	if peak, known := peakMemory(own.cmd.Process.Pid); known {
		r.Memory = significant(float64(peak) / (1 << 20))
		r.Table.rows = append(r.Table.rows, []string{"MiB at most", mark(r.Memory, peak < maxProxyMemory), "", ""})
	}
	return r
}
