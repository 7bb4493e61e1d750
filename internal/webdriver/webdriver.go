// Package webdriver lets a test use a page in a real browser, with the few requests of the
// WebDriver protocol (https://www.w3.org/TR/webdriver2/) that this needs: plain HTTP and
// JSON, and so no library.
package webdriver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/testprogram"
)

// A Browser is a session of a headless Chromium that reaches nothing but loopback. Its
// methods end the test if the browser refuses a request.
type Browser struct {
	t       testing.TB
	session string // URL
}

// Start starts a browser. Call end before the test is over. Without Chromium the test is
// skipped, but not in CI.
func Start(t testing.TB) (b *Browser, end func()) {
	t.Helper()
	chromium := testprogram.Require(t, "chromium", "chromium")
	driver := exec.CommandContext(t.Context(), testprogram.Require(t, "chromedriver", "chromium-driver"), "--port=0")
	temp, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) }) // processes of a browser that ends may still write to it
	driver.Env = append(os.Environ(), "HOME="+temp, "TMPDIR="+temp)
	out, err := driver.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := driver.Start(); err != nil {
		t.Fatal(err)
	}
	started := regexp.MustCompile(`started successfully on port (\d+)`)
	var port string
	for lines := bufio.NewScanner(out); port == "" && lines.Scan(); {
		if m := started.FindStringSubmatch(lines.Text()); m != nil {
			port = m[1]
		}
	}
	b = &Browser{t, "http://127.0.0.1:" + port + "/session"}
	var made struct{ SessionID string }
	b.do("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"timeouts":          map[string]int{"implicit": 60_000}, // an element may come with the next page
		"goog:loggingPrefs": map[string]string{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{"binary": chromium, "args": []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--user-data-dir=" + filepath.Join(temp, "profile"),
			"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
		}},
	}}}, &made)
	b.session += "/" + made.SessionID
	return b, func() {
		b.do("DELETE", "", nil, nil)
		driver.Process.Kill()
		driver.Wait()
	}
}

// do makes a request in the session and reads the value of the reply.
func (b *Browser) do(method, path string, body, value any) {
	b.t.Helper()
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			b.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.session+path, bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, reply.Value, err)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(reply.Value, value); err != nil {
		b.t.Fatalf("%s %s: %s: %v", method, path, reply.Value, err)
	}
}

// Open opens a page and returns when it has loaded.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.do("POST", "/url", map[string]string{"url": url}, nil)
}

// element returns the path of the first element that a CSS selector finds.
func (b *Browser) element(selector string) string {
	b.t.Helper()
	var found map[string]string // its only member has the name of the protocol's choice
	b.do("POST", "/element", map[string]string{"using": "css selector", "value": selector}, &found)
	for _, id := range found {
		return "/element/" + id
	}
	b.t.Fatalf("no %s", selector)
	return ""
}

// Text returns the visible text of the first element that a CSS selector finds.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	var text string
	b.do("GET", b.element(selector)+"/text", nil, &text)
	return strings.TrimSpace(text)
}

// Click clicks on the first element that a CSS selector finds.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.do("POST", b.element(selector)+"/click", struct{}{}, nil)
}

// Run runs the body of a JavaScript function in the page, and reads the value that it
// returns into value. The page's own security policy does not stop it.
func (b *Browser) Run(script string, value any) {
	b.t.Helper()
	b.do("POST", "/execute/sync", map[string]any{"script": script, "args": []any{}}, value)
}

// SetWidth makes the viewport width CSS pixels wide, as that of a phone, or of a window
// that is zoomed.
func (b *Browser) SetWidth(width int) {
	b.t.Helper()
	b.do("POST", "/goog/cdp/execute", map[string]any{"cmd": "Emulation.setDeviceMetricsOverride", "params": map[string]any{
		"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": false,
	}}, nil)
}

// Log returns the messages of the console since the last call. Scripts write there, and
// the browser reports there each violation of the security policy.
func (b *Browser) Log() []string {
	b.t.Helper()
	var entries []struct{ Message string }
	b.do("POST", "/se/log", map[string]string{"type": "browser"}, &entries)
	var all []string
	for _, e := range entries {
		all = append(all, e.Message)
	}
	return all
}
