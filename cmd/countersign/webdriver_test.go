package main

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
)

// A webdriver is a session of a real browser, driven by the few requests of the
// WebDriver protocol (https://www.w3.org/TR/webdriver2/) that a test needs: plain
// HTTP and JSON, and so no library.
type webdriver struct {
	t       *testing.T
	session string // URL
}

// startBrowser starts a headless Chromium that reaches nothing but loopback. Call
// end before the test is over.
func startBrowser(t *testing.T) (w *webdriver, end func()) {
	t.Helper()
	chromium := requireProgram(t, "chromium", "chromium")
	driver := exec.CommandContext(t.Context(), requireProgram(t, "chromedriver", "chromium-driver"), "--port=0")
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
	w = &webdriver{t, "http://127.0.0.1:" + port + "/session"}
	var made struct{ SessionID string }
	w.do("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"timeouts": map[string]int{"implicit": 60_000}, // an element may come with the next page
		"goog:chromeOptions": map[string]any{"binary": chromium, "args": []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--user-data-dir=" + filepath.Join(temp, "profile"),
			"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
		}},
	}}}, &made)
	w.session += "/" + made.SessionID
	return w, func() {
		w.do("DELETE", "", nil, nil)
		driver.Process.Kill()
		driver.Wait()
	}
}

// do makes a request in the session and reads the value of the reply.
func (w *webdriver) do(method, path string, body, value any) {
	w.t.Helper()
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			w.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.session+path, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, reply.Value, err)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(reply.Value, value); err != nil {
		w.t.Fatalf("%s %s: %s: %v", method, path, reply.Value, err)
	}
}

func (w *webdriver) open(url string) {
	w.t.Helper()
	w.do("POST", "/url", map[string]string{"url": url}, nil)
}

// element returns the path of the first element that a CSS selector finds.
func (w *webdriver) element(selector string) string {
	w.t.Helper()
	var found map[string]string // its only member has the name of the protocol's choice
	w.do("POST", "/element", map[string]string{"using": "css selector", "value": selector}, &found)
	for _, id := range found {
		return "/element/" + id
	}
	w.t.Fatalf("no %s", selector)
	return ""
}

func (w *webdriver) text(selector string) string {
	w.t.Helper()
	var text string
	w.do("GET", w.element(selector)+"/text", nil, &text)
	return strings.TrimSpace(text)
}

func (w *webdriver) click(selector string) {
	w.t.Helper()
	w.do("POST", w.element(selector)+"/click", struct{}{}, nil)
}
