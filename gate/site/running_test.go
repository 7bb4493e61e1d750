package site_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/forward"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/limit"
	"github.com/countersign/countersign/gate/pubkey"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/signer"
)

const runningGrants = `
[[grant]]
names = ["*"]
repositories = ["users/${name}/*"]
actions = ["pull"]
endpoints = ["chat"]
`

const runningBlob = "/v2/users/alice/model/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// held sends the first line of a reply at once, and then waits for the end of the request.
func held(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodHead:
		return
	case r.URL.Path == "/api/generate":
	default:
		io.WriteString(w, "first\n")
		http.NewResponseController(w).Flush()
	}
	<-r.Context().Done()
}

func startHeld(t *testing.T, change func(string) string) (*gatetest.Gate, signer.Signer) {
	t.Helper()
	g := gatetest.Start(t, gatetest.Options{
		Grants: runningGrants, Blobs: "*", Registry: http.HandlerFunc(held), Ollama: http.HandlerFunc(held), Change: change,
	})
	return g, gatetest.NewKey(t)
}

// begin sends a request of key and returns its reply when the header has come.
func begin(t *testing.T, g *gatetest.Gate, key signer.Signer, path string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a request that never ends has no reason in the log
	t.Cleanup(cancel)
	client := &http.Client{Transport: &challenge.Transport{Client: g.Client(key)}}
	method := http.MethodGet
	if strings.HasPrefix(path, "/api/") {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, g.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		client = http.DefaultClient
		if err := challenge.SignRequest(t.Context(), key, req); err != nil {
			t.Fatal(err)
		}
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// wantFirst wants the first line of a stream.
func wantFirst(t *testing.T, res *http.Response) *bufio.Reader {
	t.Helper()
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); res.StatusCode != 200 || line != "first\n" || err != nil {
		t.Fatalf("%s %q %v", res.Status, line, err)
	}
	return body
}

// A stream or a download ends in the middle when its key is removed or denied, and those
// of other keys go on.
func TestRule10_RunningRequestsEnd(t *testing.T) {
	for name, remove := range map[string]func(g *gatetest.Gate, denied string, alice, bob signer.Signer){
		"removed": func(g *gatetest.Gate, _ string, _, bob signer.Signer) { g.Enrol(map[string]signer.Signer{"bob": bob}) },
		"denied": func(g *gatetest.Gate, denied string, alice, _ signer.Signer) {
			write(t, denied, signer.AuthorizedKey(alice.PublicKey()))
			g.Reload()
		},
	} {
		for _, path := range []string{"/api/chat", runningBlob, "/v2/users/alice/model/manifests/v1"} {
			t.Run(name+path, func(t *testing.T) {
				denied := filepath.Join(t.TempDir(), "denied")
				write(t, denied, "")
				g, alice := startHeld(t, func(text string) string {
					return strings.Replace(text, `# denied = "denied_keys"`, "denied = "+strconv.Quote(denied), 1)
				})
				bob := gatetest.NewKey(t)
				g.Enrol(map[string]signer.Signer{"alice": alice, "bob": bob})
				body := wantFirst(t, begin(t, g, alice, path))
				wantFirst(t, begin(t, g, bob, "/api/chat"))
				remove(g, denied, alice, bob)
				if rest, err := io.ReadAll(body); err == nil || len(rest) > 0 {
					t.Errorf("the reply ends with %q as if it were whole", rest)
				}
				if reason := g.LastReason(); !strings.HasPrefix(reason, "the request was ended: the key is") {
					t.Errorf("the audit line tells %q", reason)
				}
				for _, r := range g.Forwarded() {
					if r.Header.Get("X-Countersign-User") == "bob" && r.Context().Err() != nil {
						t.Error("the stream of another key has ended")
					}
				}
			})
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRule10_RequestWithoutAReplyEnds(t *testing.T) {
	g, alice := startHeld(t, nil)
	g.Enrol(map[string]signer.Signer{"alice": alice})
	waiting := make(chan *http.Response)
	go func() { waiting <- begin(t, g, alice, "/api/generate") }()
	for len(g.Forwarded()) == 0 {
	}
	g.Enrol(nil)
	res := <-waiting
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "the gate ended this request: the key is not enrolled") || err != nil {
		t.Errorf("%s %s %v", res.Status, body, err)
	}
}

// A key that expires ends its requests, also if no file changes.
func TestRule10_RunningRequestEndsWithItsKey(t *testing.T) {
	g, alice := startHeld(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go g.Watch(ctx, make(chan os.Signal))
	end := time.Now().Add(3 * time.Second).UTC().Format("20060102150405Z")
	g.Write(setup.AuthorizedFile, `expiry-time="`+end+`" `+signer.AuthorizedKey(alice.PublicKey())+" alice\n")
	g.Reload()
	body := wantFirst(t, begin(t, g, alice, "/api/chat"))
	if _, err := io.ReadAll(body); err == nil {
		t.Error("the stream ends as if it were whole")
	}
	if reason := g.LastReason(); !strings.HasPrefix(reason, "the request was ended: the key has expired") {
		t.Errorf("the audit line tells %q", reason)
	}
}

// An upload ends too, although its client sends nothing more.
func TestRule10_RunningUploadEnds(t *testing.T) {
	half := make(chan struct{})
	g := gatetest.Start(t, gatetest.Options{Registry: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 5))
		close(half)
		io.Copy(io.Discard, r.Body)
	})})
	alice := gatetest.NewKey(t)
	g.Enrol(map[string]signer.Signer{"alice": alice})
	token, err := g.Client(alice).Token(t.Context(), challenge.Challenge{Scheme: "bearer", Params: []challenge.Param{
		{Name: "realm", Value: g.Origin + "/token"},
		{Name: "service", Value: g.Config.Sites[0].Service()},
		{Name: "scope", Value: "repository:users/alice/a:pull,push"},
	}}, httptest.NewRequest(http.MethodGet, g.URL+"/v2/", nil))
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(g.URL, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PATCH /v2/users/alice/a/blobs/uploads/1 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 10\r\n\r\n12345", host, token.Value())
	<-half
	g.Enrol(nil)
	conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // a request that never ends has no reply
	reply, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(reply), "the gate ended this request: the key is not enrolled") {
		t.Errorf("%q, %v", reply, err)
	}
}

// A key that is removed after it was looked up, and before the request runs, ends it too.
func TestRule10_KeyRemovedBeforeTheRequestRuns(t *testing.T) {
	key := gatetest.NewKey(t).PublicKey()
	path := filepath.Join(t.TempDir(), "authorized_keys")
	write(t, path, signer.AuthorizedKey(key)+" alice\n")
	keys, err := authkeys.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	var lines []audit.Decision
	s := &site.Site{
		Keys: keys, Now: time.Now, Running: &site.Running{},
		Limits: &site.Limits{Addresses: limit.New[netip.Prefix](10), Keys: limit.New[pubkey.ID](10)},
		Record: func(d audit.Decision) {
			lines = append(lines, d)
			write(t, path, "")
			for _, f := range keys.Files() {
				f.Reload()
			}
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil).WithContext(ctx)
	c := s.Start(w, r)
	if _, ok := c.Identify(key); !ok {
		t.Fatal(w.Body)
	}
	c.Pass(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		if cause := context.Cause(r.Context()); !errors.Is(cause, forward.ErrEnded) || !errors.Is(cause, authkeys.ErrUnknown) {
			t.Errorf("the cause of the end: %v", cause)
		}
	}), w, r)
	s.Running.Check()
	if len(lines) != 2 || !lines[0].Granted || lines[1].Granted || lines[1].Status != http.StatusUnauthorized {
		t.Errorf("audit lines: %+v", lines)
	}
}
