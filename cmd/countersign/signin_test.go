package main

import (
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/webdriver"
)

// The whole way, with a real browser: a key that nobody knows, the page, the
// button, and then a resource.
func TestSignInWithBrowser(t *testing.T) {
	browser, end := webdriver.Start(t)
	defer end()
	registry := signInRegistry(t)
	registry.AddImage("library/demo", "latest", []byte("hello"))
	image := registry.URL + "/v2/library/demo/manifests/latest"
	h := newHome(t)
	if out, err := h.command(t, "get", image).CombinedOutput(); err == nil {
		t.Fatalf("a key that nobody knows opens %s: %s", image, out)
	}

	w := startConnect(t, h, registry)
	browser.Open(w.page)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := browser.Text("#name"); got != host {
		t.Errorf("the page is for the machine %q, want %q", got, host)
	}
	fingerprint := browser.Text("#fingerprint")
	if shown, err := h.command(t, "key", "show").Output(); err != nil || !strings.HasPrefix(string(shown), fingerprint+"\n") {
		t.Errorf("the page is for %s, but the key is %s (%v)", fingerprint, shown, err)
	}
	browser.Click("#connect")
	if got := browser.Text("#done"); !strings.Contains(got, "accepted") {
		t.Errorf("after the button the page says %q", got)
	}

	out, code := w.end(t)
	if want := "connected to " + registry.URL + ` as "challengetest": ` + fingerprint + "\n"; code != exitDone || out != want {
		t.Errorf("exit code %d and %q, want %q\n%s", code, out, want, &w.stderr)
	}
	if out, err := h.command(t, "get", image).CombinedOutput(); err != nil || !strings.Contains(string(out), `"schemaVersion":2`) {
		t.Errorf("%v: %s", err, out)
	}
}
