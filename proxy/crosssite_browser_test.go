package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/webdriver"
	"github.com/countersign/countersign/proxy"
)

// TestBrowser lets pages of three sites use the proxy with a real browser: a site of
// --allow-origin, another site, and the proxy itself, whose server sends HTML.
func TestBrowser(t *testing.T) {
	if !proxy.KnowsUsers {
		t.Skip("SKIPPED: the test has no token here")
	}
	var writes atomic.Int32
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			writes.Add(1)
			w.Header().Set("X-Lines", "2")
			fmt.Fprintln(w, "first")
			_ = http.NewResponseController(w).Flush()
			fmt.Fprintln(w, "second")
		case r.URL.Path == "/v2/page":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<title>quiet</title><script>document.title = "runs"; fetch("/api/chat", {method: "POST", body: "{}"})</script>`)
		default:
			w.Header().Set("Docker-Content-Digest", "sha256:0")
			fmt.Fprint(w, "secret = 1")
		}
	}))
	defer upstream.Close()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<title>page</title>")
	})
	editor, evil := httptest.NewServer(page), httptest.NewServer(page)
	defer editor.Close()
	defer evil.Close()
	p := proxyTo(t, upstream.URL)
	p.AllowOrigins = []string{editor.URL}
	f := start(t, p)
	browser, end := webdriver.Start(t)
	defer end()
	run := func(script string) (got string) {
		t.Helper()
		browser.Run(strings.ReplaceAll(script, "PROXY", f.url), &got)
		return got
	}
	const (
		chat = `return fetch("PROXY/api/chat", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"})
			.then(async r => r.status + " " + r.headers.get("X-Lines") + " " + await r.text(), e => "refused: " + e)`
		read = `return fetch("PROXY/v2/a/manifests/latest").then(async r => r.headers.get("Docker-Content-Digest") + " " + await r.text(), e => "refused: " + e)`
		// requests for which a browser does not ask first
		blind = `return fetch("PROXY/api/chat", {method: "POST", mode: "no-cors", body: "{}"}).then(r => r.type, e => "refused: " + e)`
		form  = `return new Promise(done => {
			document.body.innerHTML = '<iframe name="frame"></iframe><form method="post" enctype="text/plain" target="frame" action="PROXY/api/chat"><input name="a" value="b"></form>';
			document.querySelector("iframe").onload = () => done("sent");
			document.querySelector("form").submit();
		})`
		script = `return new Promise(done => {
			const s = document.createElement("script");
			s.src = "PROXY/v2/a/blobs/x";
			s.onload = () => done("" + window.secret);
			s.onerror = () => done("refused");
			document.body.append(s);
		})`
	)
	browser.Open(editor.URL)
	if got := run(chat); got != "200 2 first\nsecond\n" {
		t.Errorf("the page of an allowed site got %q", got)
	}
	if got := run(read); got != "sha256:0 secret = 1" {
		t.Errorf("the page of an allowed site read %q", got)
	}
	if n := writes.Swap(0); n != 1 {
		t.Errorf("%d requests of the allowed site reached the server, want 1", n)
	}

	browser.Open(evil.URL)
	for _, s := range []string{chat, read, script} {
		if got := run(s); !strings.HasPrefix(got, "refused") {
			t.Errorf("the page of another site got %q", got)
		}
	}
	run(blind)
	run(form)

	browser.Open(f.url + "/v2/page") // as a person who typed the address
	if got := run(`return document.title`); got != "quiet" {
		t.Errorf("a script of the server ran as a page of the proxy: its title is %q", got)
	}
	if got := run(chat); !strings.HasPrefix(got, "refused") {
		t.Errorf("the page of the server got %q", got)
	}
	if n := writes.Load(); n != 0 {
		t.Errorf("%d requests of other sites reached the server", n)
	}
}
