package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ollama/ollama/api"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/proxy"
)

// chatGrants let alice use the Ollama server.
const chatGrants = `
[[grant]]
names = ["alice"]
endpoints = ["read", "chat"]
`

// words are the lines of the chat.
var words = []string{"Each", "line", "comes", "at", "once"}

// An ollamaServer stands in for the Ollama server behind the gate. In a chat, it sends a
// line only after the client has received the line before.
type ollamaServer struct{ received chan string }

func (s *ollamaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/tags":
		fmt.Fprint(w, `{"models":[{"name":"tiny:latest"}]}`)
	case "/api/show":
		fmt.Fprint(w, `{"details":{"family":"llama"}}`)
	case "/api/chat":
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, word := range words {
			fmt.Fprintf(w, `{"message":{"role":"assistant","content":%q}}`+"\n", word)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			select {
			case <-s.received:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintln(w, `{"done":true}`)
	}
}

// startOllamaGate starts a gate before s that knows alice and bob.
func startOllamaGate(t *testing.T, s http.Handler, accept string) (g *gatetest.Gate, alice, bob, stranger *ollamaUser) {
	t.Helper()
	g = gatetest.Start(t, gatetest.Options{Ollama: s, Grants: chatGrants, Change: func(text string) string {
		return strings.Replace(text, `accept = ["signature", "token"]`, "accept = "+accept, 1)
	}})
	alice, bob, stranger = newOllamaUser(t, "alice"), newOllamaUser(t, "bob"), newOllamaUser(t, "stranger")
	enrol(g, alice, bob)
	return g, alice, bob, stranger
}

// client returns Ollama's own client, which signs with the key of u.
func (u *ollamaUser) client(t *testing.T, address string) *api.Client {
	t.Helper()
	t.Setenv("HOME", u.home)
	t.Setenv("OLLAMA_AUTH", "1")
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return api.NewClient(base, &http.Client{Transport: &http.Transport{}})
}

// chat receives the lines of a chat and tells s about each.
func (s *ollamaServer) chat(t *testing.T, c *api.Client) (lines []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a line that is kept back is missing for ever
	defer cancel()
	err = c.Chat(ctx, &api.ChatRequest{Model: "tiny"}, func(r api.ChatResponse) error {
		if r.Done {
			return nil
		}
		lines = append(lines, r.Message.Content)
		select {
		case s.received <- r.Message.Content:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return lines, err
}

func (s *ollamaServer) wantChat(t *testing.T, c *api.Client) {
	t.Helper()
	lines, err := s.chat(t, c)
	if diff := cmp.Diff(words, lines); err != nil || diff != "" {
		t.Errorf("chat: %v (-want +got):\n%s", err, diff)
	}
}

func TestOllamaAPI(t *testing.T) {
	s := &ollamaServer{make(chan string)}
	g, alice, bob, stranger := startOllamaGate(t, s, `["signature"]`)
	t.Run("granted", func(t *testing.T) {
		c := alice.client(t, g.URL)
		if err := c.Heartbeat(t.Context()); err != nil {
			t.Errorf("heartbeat: %v", err)
		}
		if user, err := c.Whoami(t.Context()); err != nil || user.Name != "alice" {
			t.Errorf("whoami: %+v, %v", user, err)
		}
		if list, err := c.List(t.Context()); err != nil || len(list.Models) != 1 {
			t.Errorf("list: %+v, %v", list, err)
		}
		if show, err := c.Show(t.Context(), &api.ShowRequest{Model: "tiny"}); err != nil || show.Details.Family != "llama" {
			t.Errorf("show: %+v, %v", show, err)
		}
		s.wantChat(t, c)
	})
	forwarded := len(g.Forwarded())
	t.Run("without a grant", func(t *testing.T) {
		c := bob.client(t, g.URL)
		_, err := c.List(t.Context())
		if want := "bob has no grant for the endpoints read"; err == nil || err.Error() != want {
			t.Errorf("list: %v, want %s", err, want)
		}
		if _, err := s.chat(t, c); err == nil || err.Error() != "403 Forbidden: bob has no grant for the endpoints chat" {
			t.Errorf("chat: %v", err)
		}
	})
	t.Run("not enrolled", func(t *testing.T) {
		c := stranger.client(t, g.URL)
		_, err := c.List(t.Context())
		if _, ok := errors.AsType[api.AuthorizationError](err); !ok || !strings.HasPrefix(err.Error(), "the key is not enrolled: SHA256:") {
			t.Errorf("list: %v", err)
		}
		_, err = s.chat(t, c)
		if _, ok := errors.AsType[api.AuthorizationError](err); !ok {
			t.Errorf("chat: %v", err)
		}
		_, err = c.Whoami(t.Context())
		if refused, ok := errors.AsType[api.AuthorizationError](err); !ok || !strings.HasPrefix(refused.SigninURL, g.URL+"/connect?") {
			t.Errorf("whoami: %+v", err)
		}
	})
	t.Run("without a signature", func(t *testing.T) {
		c := alice.client(t, g.URL)
		t.Setenv("OLLAMA_AUTH", "")
		if _, err := c.List(t.Context()); err == nil || !strings.Contains(err.Error(), "set OLLAMA_AUTH=1") {
			t.Errorf("list: %v", err)
		}
	})
	if n := len(g.Forwarded()) - forwarded; n != 0 {
		t.Errorf("%d refused requests reached the server", n)
	}
}

// TestOllamaAPIThroughProxy chats through the proxy and a gate that takes tokens only, and
// one that takes signatures only. The proxy has the key of alice.
func TestOllamaAPIThroughProxy(t *testing.T) {
	for accept, sign := range map[string]bool{`["token"]`: false, `["signature"]`: true} {
		t.Run(accept, func(t *testing.T) {
			s := &ollamaServer{make(chan string)}
			g, alice, bob, stranger := startOllamaGate(t, s, accept)
			if _, err := bob.client(t, g.URL).List(t.Context()); err == nil {
				t.Error("the gate let bob list models")
			}
			c := stranger.client(t, startProxy(t, g, alice, sign)) // the proxy drops the signature of the stranger
			if list, err := c.List(t.Context()); err != nil || len(list.Models) != 1 {
				t.Errorf("list: %+v, %v", list, err)
			}
			s.wantChat(t, c)
			c = stranger.client(t, startProxy(t, g, bob, sign))
			if _, err := c.List(t.Context()); err == nil || !strings.Contains(err.Error(), "bob has no grant") {
				t.Errorf("list without a grant: %v", err)
			}
		})
	}
}

// startProxy starts a proxy to g with the key of u and returns its address.
func startProxy(t *testing.T, g *gatetest.Gate, u *ollamaUser, sign bool) string {
	t.Helper()
	key, err := backends.New().Open(t.Context(), "file:"+u.home+"/.ollama/id_ed25519")
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := url.Parse(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy.Proxy{Upstream: upstream, Client: &challenge.Client{Key: challenge.StaticKey(key)}, Sign: sign}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}
