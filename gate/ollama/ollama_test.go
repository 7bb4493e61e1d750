package ollama_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/signer"
)

const grants = `
[[grant]]
names = ["alice"]
endpoints = ["read", "chat"]
[[grant]]
names = ["root"]
endpoints = ["read", "chat", "pull", "push", "create", "delete"]
[[grant]]
names = ["*"]
repositories = ["*"]
actions = ["pull"]
`

var answer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })

func start(t testing.TB, o gatetest.Options) (g *gatetest.Gate, alice, root signer.Signer) {
	t.Helper()
	if o.Grants = grants; o.Ollama == nil {
		o.Ollama = answer
	}
	g, alice, root = gatetest.Start(t, o), gatetest.NewKey(t), gatetest.NewKey(t)
	g.Enrol(map[string]signer.Signer{"alice": alice, "root": root})
	return g, alice, root
}

// send signs a request as Ollama's client does and sends it.
func send(t testing.TB, g *gatetest.Gate, key signer.Signer, method, path, body string, change ...func(*http.Request)) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != nil {
		if err := challenge.SignRequest(t.Context(), key, req); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range change {
		f(req)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestRule09_Groups(t *testing.T) {
	g, alice, root := start(t, gatetest.Options{})
	digest := "sha256:" + strings.Repeat("0a", 32)
	for _, tt := range []struct {
		method, path string
		alice, root  int
	}{
		{"GET", "/api/tags", 200, 200},
		{"HEAD", "/api/tags", 200, 200},
		{"GET", "/api/ps", 200, 200},
		{"GET", "/api/version", 200, 200},
		{"POST", "/api/show", 200, 200},
		{"GET", "/v1/models", 200, 200},
		{"GET", "/v1/models/llama3.2:latest", 200, 200},
		{"POST", "/api/generate", 200, 200},
		{"POST", "/api/chat", 200, 200},
		{"POST", "/api/embed", 200, 200},
		{"POST", "/v1/chat/completions", 200, 200},
		{"POST", "/v1/messages", 200, 200},
		{"POST", "/api/pull", 403, 200},
		{"POST", "/api/push", 403, 200},
		{"POST", "/api/create", 403, 200},
		{"POST", "/api/copy", 403, 200},
		{"POST", "/api/blobs/" + digest, 403, 200},
		{"HEAD", "/api/blobs/" + digest, 403, 200},
		{"DELETE", "/api/delete", 403, 200},
		{"POST", "/api/signout", 403, 403},
		{"DELETE", "/api/user/keys/AAAA", 403, 403},
		{"GET", "/api/pull", 405, 405},
		{"POST", "/api/tags", 405, 405},
		{"GET", "/api/status", 404, 404},
		{"POST", "/api/experimental/aliases", 404, 404},
		{"GET", "/api/tags/", 404, 404},
		{"GET", "/api", 404, 404},
		{"POST", "/api/blobs/x", 404, 404},
		{"POST", "/v1/files", 404, 404},
	} {
		for name, key := range map[string]signer.Signer{"alice": alice, "root": root} {
			want := map[string]int{"alice": tt.alice, "root": tt.root}[name]
			before := len(g.Forwarded())
			res := send(t, g, key, tt.method, tt.path, "")
			if res.StatusCode != want || (len(g.Forwarded()) > before) != (want == 200) {
				t.Errorf("%s: %s %s: %s, want %d", name, tt.method, tt.path, res.Status, want)
			}
		}
	}
}

func TestRule09_IdentityOfTheServer(t *testing.T) {
	g, _, root := start(t, gatetest.Options{})
	send(t, g, root, "POST", "/api/me", "")
	if send(t, g, root, "POST", "/api/signout", ""); !strings.Contains(g.LastReason(), "the identity of the server") {
		t.Errorf("the reason is %q", g.LastReason())
	}
	send(t, g, root, "DELETE", "/api/user/keys/AAAA", "")
	for _, r := range g.Forwarded() {
		t.Errorf("%s %s reached the server", r.Method, r.RequestURI)
	}
}

func TestRule05_IdentityOfTheClient(t *testing.T) {
	g, alice, _ := start(t, gatetest.Options{})
	res := send(t, g, alice, "POST", "/api/chat", `{"model":"m"}`, func(r *http.Request) {
		r.Header["X-Countersign-User"] = []string{"root"}
		r.Header["X_Countersign_Key"] = []string{"x"}
		r.Header["Connection"] = []string{"X-Countersign-User, X-Countersign-Key"}
		r.Header.Set("Cookie", "a=b")
	})
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != `{"model":"m"}` {
		t.Errorf("%q, %v", body, err)
	}
	got := g.Forwarded()[0]
	if user, key := got.Header["X-Countersign-User"], got.Header["X-Countersign-Key"]; fmt.Sprint(user, key) != fmt.Sprint([]string{"alice"}, []string{ssh.FingerprintSHA256(alice.PublicKey())}) {
		t.Errorf("the server sees %v and %v", user, key)
	}
	for _, name := range []string{"Authorization", "Cookie", "X_Countersign_Key"} {
		if _, ok := got.Header[name]; ok {
			t.Errorf("the server sees %s", name)
		}
	}
	if !strings.HasPrefix(got.RequestURI, "/api/chat?ts=") || got.Host == strings.TrimPrefix(g.URL, "http://") {
		t.Errorf("the server sees %s at %s", got.RequestURI, got.Host)
	}
}

func TestRule13_Signatures(t *testing.T) {
	g, alice, _ := start(t, gatetest.Options{})
	stranger := gatetest.NewKey(t)
	for name, tt := range map[string]struct {
		key    signer.Signer
		change func(*http.Request)
		want   int
	}{
		"good":          {alice, func(*http.Request) {}, 200},
		"with Bearer":   {alice, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+r.Header.Get("Authorization")) }, 200},
		"unknown key":   {stranger, func(*http.Request) {}, 401},
		"no signature":  {nil, func(*http.Request) {}, 401},
		"other path":    {alice, func(r *http.Request) { r.URL.Path = "/api/ps" }, 401},
		"other method":  {alice, func(r *http.Request) { r.Method = "HEAD" }, 401},
		"other time":    {alice, func(r *http.Request) { r.URL.RawQuery = "ts=" + strconv.FormatInt(time.Now().Unix()+1, 10) }, 401},
		"no time":       {alice, func(r *http.Request) { r.URL.RawQuery = "" }, 401},
		"more query":    {alice, func(r *http.Request) { r.URL.RawQuery += "&a=b" }, 400},
		"two times":     {alice, func(r *http.Request) { r.URL.RawQuery += "&" + r.URL.RawQuery }, 400},
		"escaped path":  {alice, func(r *http.Request) { r.URL.Opaque = "/api%2Ftags" }, 404},
		"twice":         {alice, func(r *http.Request) { r.Header["Authorization"] = append(r.Header["Authorization"], "x") }, 401},
		"old":           {alice, resign(t, alice, -61*time.Second), 401},
		"young enough":  {alice, resign(t, alice, -50*time.Second), 200},
		"ahead":         {alice, resign(t, alice, 35*time.Second), 401},
		"a little fast": {alice, resign(t, alice, 20*time.Second), 200},
	} {
		before := len(g.Forwarded())
		res := send(t, g, tt.key, "GET", "/api/tags", "", tt.change)
		if res.StatusCode != tt.want || (len(g.Forwarded()) > before) != (tt.want == 200) {
			t.Errorf("%s: %s, want %d", name, res.Status, tt.want)
		}
	}
}

// resign signs a request for another time.
func resign(t testing.TB, key signer.Signer, off time.Duration) func(*http.Request) {
	return func(r *http.Request) {
		r.URL.RawQuery = "ts=" + strconv.FormatInt(time.Now().Add(off).Unix(), 10)
		auth, err := challenge.Sign(t.Context(), key, challenge.APIText(r.Method, r.URL.RequestURI()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", auth)
	}
}

// One request twice is honest: "ollama rm a b" sends one signature with two bodies.
func TestRule13_NotDeduplicated(t *testing.T) {
	g, _, root := start(t, gatetest.Options{})
	sign := resign(t, root, 0)
	for _, body := range []string{"a", "b"} {
		if res := send(t, g, root, "DELETE", "/api/delete", body, sign); res.StatusCode != 200 {
			t.Errorf("%s: %s", body, res.Status)
		}
	}
}

func TestStrongMode(t *testing.T) {
	g, alice, _ := start(t, gatetest.Options{Change: func(text string) string {
		return strings.Replace(text, `accept = ["signature", "token"]`, `accept = ["token"]`, 1)
	}})
	res := send(t, g, alice, "GET", "/api/tags", "")
	if want := `scope="ollama:read:call"`; res.StatusCode != 401 || !strings.Contains(res.Header.Get("WWW-Authenticate"), want) {
		t.Errorf("a signature: %s %v", res.Status, res.Header)
	}
	// A client that answers challenges gets a token and uses it.
	client := &http.Client{Transport: &challenge.Transport{Client: g.Client(alice)}}
	for path, want := range map[string]int{"/api/tags": 200, "/api/pull": 403} {
		method := map[int]string{200: "GET", 403: "POST"}[want]
		req, err := http.NewRequest(method, g.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if want == 200 && err != nil {
			t.Fatal(err)
		}
		if err == nil {
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s: %s", path, res.Status)
			}
		}
	}
	if all := g.Forwarded(); len(all) != 1 || all[0].RequestURI != "/api/tags" {
		t.Errorf("%d requests reached the server", len(all))
	}
}

func TestTokensAreRefusedWithoutStrongMode(t *testing.T) {
	g, alice, _ := start(t, gatetest.Options{Change: func(text string) string {
		return strings.Replace(text, `accept = ["signature", "token"]`, `accept = ["signature"]`, 1)
	}})
	res := send(t, g, alice, "GET", "/api/tags", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer a.b.c") })
	if res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

func TestRule02_BasePath(t *testing.T) {
	g, alice, _ := start(t, gatetest.Options{Change: func(text string) string {
		return strings.Replace(text, "accept =", "path = \"/ollama\"\naccept =", 1)
	}})
	res := send(t, g, alice, "GET", "/api/tags", "", func(r *http.Request) { r.URL.Path = "/ollama/api/tags" })
	if res.StatusCode != 200 || len(g.Forwarded()) != 1 || !strings.HasPrefix(g.Forwarded()[0].RequestURI, "/api/tags?ts=") {
		t.Errorf("%s, %d requests", res.Status, len(g.Forwarded()))
	}
	if res := send(t, g, alice, "GET", "/api/tags", ""); res.StatusCode != 404 {
		t.Errorf("without the base path: %s", res.Status)
	}
}

// A stream arrives piece by piece.
func TestStreams(t *testing.T) {
	next := make(chan struct{})
	g, alice, _ := start(t, gatetest.Options{Ollama: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "{\"n\":%d}\n", i)
			http.NewResponseController(w).Flush()
			<-next
		}
	})})
	res := send(t, g, alice, "POST", "/api/chat", "{}")
	lines := bufio.NewScanner(res.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("piece %d: %q, %v", i, lines.Text(), lines.Err())
		}
		next <- struct{}{}
	}
}

func TestLargeBody(t *testing.T) {
	readAll := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	g, _, root := start(t, gatetest.Options{Ollama: readAll, Change: func(text string) string { return strings.Replace(text, "body_mb = 64", "body_mb = 1", 1) }})
	big := strings.Repeat("x", 1<<20+1)
	if res := send(t, g, root, "POST", "/api/chat", big); res.StatusCode != 413 {
		t.Errorf("a large request: %s", res.Status)
	}
	if res := send(t, g, root, "POST", "/api/blobs/sha256:"+strings.Repeat("0a", 32), big); res.StatusCode != 200 {
		t.Errorf("a large file: %s", res.Status)
	}
}

// FuzzNoSignatureNoUpstream holds that no request reaches a server behind the gate
// without a valid signature or token.
func FuzzNoSignatureNoUpstream(f *testing.F) {
	g, alice, _ := start(f, gatetest.Options{Change: func(text string) string {
		return strings.NewReplacer("per_address = 50", "per_address = 1000000").Replace(text)
	}})
	auth, err := challenge.Sign(f.Context(), alice, challenge.APIText("GET", "/api/tags?ts=1"))
	if err != nil {
		f.Fatal(err)
	}
	handler := g.Handler()
	f.Add("GET", "/api/tags?ts=1", auth, "alice")
	f.Add("POST", "/v2/a/blobs/uploads/", "Bearer "+auth, "")
	f.Add("GET", "/v2/a/tags/list", "Bearer a.b.c", "")
	f.Add("GET", "/v1/models/a", "", "")
	f.Fuzz(func(t *testing.T, method, target, authorization, user string) {
		req, err := http.NewRequest("GET", g.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Method, req.RequestURI, req.RemoteAddr = method, target, "127.0.0.1:1"
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		req.Header.Set("X-Countersign-User", user)
		handler.ServeHTTP(discard{http.Header{}}, req)
		if n := len(g.Forwarded()); n != 0 {
			t.Errorf("%s %s passed with %q", method, target, authorization)
		}
	})
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
