package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/leftovers"
)

// TestNothingIsLeft ends clients, servers and the proxy in the middle of a stream.
func TestNothingIsLeft(t *testing.T) {
	before := leftovers.Now()
	for _, end := range []string{"client", "server", "proxy"} {
		held := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "line")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}))
		p := proxyTo(t, server.URL)
		base := &http.Transport{}
		p.Client.Base = base
		f := start(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", f.url+"/api/chat", strings.NewReader("{}"))
		req.SetBasicAuth("", "test")
		resp, err := noRedirects.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = bufio.NewReader(resp.Body).ReadString('\n')
		switch end {
		case "client":
			cancel()
		case "server":
			server.CloseClientConnections()
		case "proxy":
			cancel()
			f.stop()
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		cancel()
		f.stop()
		close(held)
		server.Close()
		base.CloseIdleConnections()
	}
	before.Check(t)
}
