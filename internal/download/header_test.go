package download_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/download"
)

func TestParseHeader(t *testing.T) {
	got, err := download.ParseHeader([]string{"accept: text/plain", "X-Key:  a: b ", "X-Empty:", "ACCEPT: */*"})
	want := http.Header{"Accept": {"text/plain", "*/*"}, "X-Key": {"a: b"}, "X-Empty": {""}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for field, want := range map[string]string{
		"hunter2":                      "want NAME: VALUE",
		": hunter2":                    "want NAME: VALUE",
		"X Key: hunter2":               "want NAME: VALUE",
		"X-Key : hunter2":              "want NAME: VALUE",
		"X-Key: hunter2\r\nX: y":       "want NAME: VALUE",
		"X-Key\n: hunter2":             "want NAME: VALUE",
		"Schlüssel: hunter2":           "want NAME: VALUE",
		"authorization: Basic hunter2": "Authorization cannot be given",
		"Host: hunter2":                "Host cannot be given",
		"range: bytes=1-":              "Range cannot be given",
	} {
		_, err := download.ParseHeader([]string{field})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v; want an error with %q", field, err, want)
		}
	}
}

// TestCheckRedirect wants the fields of a caller on redirects within the origin only.
func TestCheckRedirect(t *testing.T) {
	seen := map[string]http.Header{}
	record := func(w http.ResponseWriter, req *http.Request) { seen[req.URL.Path] = req.Header }
	other := httptest.NewServer(http.HandlerFunc(record))
	defer other.Close()
	mux := http.NewServeMux()
	mux.Handle("/to-own", http.RedirectHandler("/own", http.StatusTemporaryRedirect))
	mux.Handle("/to-other", http.RedirectHandler(other.URL+"/other", http.StatusTemporaryRedirect))
	mux.HandleFunc("/own", record)
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusTemporaryRedirect))
	first := httptest.NewServer(mux)
	defer first.Close()

	header := http.Header{"X-Key": {"secret"}, "Accept": {"text/plain"}}
	client := &http.Client{CheckRedirect: download.CheckRedirect(header)}
	get := func(path string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header.Clone()
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for _, path := range []string{"/to-own", "/to-other"} {
		if err := get(path); err != nil {
			t.Error(err)
		}
	}
	if own := seen["/own"]; own.Get("X-Key") == "" || own.Get("Accept") == "" {
		t.Errorf("to the same origin: %v", own)
	}
	if other := seen["/other"]; other == nil || other.Get("X-Key") != "" || other.Get("Accept") == "" {
		t.Errorf("to another origin: %v", other)
	}
	if err := get("/loop"); err == nil {
		t.Error("a loop of redirects has no end")
	}
}
