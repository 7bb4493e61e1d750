package registry_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/registry"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

// blobRegistry has one blob in every repository, of size zero bytes.
func blobRegistry(size int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/blobs/"+digest):
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, size)))
		case strings.Contains(r.URL.Path, "/blobs/sha256:"):
			http.NotFound(w, r)
		}
	})
}

// fetch sends a request to an address at a second host name, which is the same
// listener.
func fetch(t testing.TB, address, method string, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestRule16_Redirect(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Grants: someGrants, Blobs: "*", Registry: blobRegistry(1000)})
	token := exchange(t, g, key, "repository:shared:pull").Token
	res := call(t, g, "GET", "/v2/shared/blobs/"+digest, token, nil)
	address := res.Header.Get("Location")
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 307 || len(body) != 0 || !strings.HasPrefix(address, strings.Replace(g.URL, "127.0.0.1", "localhost", 1)+"/v2/shared/blobs/"+digest+"?") {
		t.Fatalf("%s, %d bytes, to %s", res.Status, len(body), address)
	}
	// Exactly the client's own token asked the registry first.
	if first := g.Forwarded()[0]; first.Method != "HEAD" || first.Header.Get("Authorization") != "Bearer "+token {
		t.Errorf("before the redirect: %s %v", first.Method, first.Header)
	}
	if res := call(t, g, "HEAD", "/v2/shared/blobs/"+digest, token, nil); res.StatusCode != 200 || res.ContentLength != 1000 {
		t.Errorf("HEAD: %s, %d", res.Status, res.ContentLength)
	}
	for range 2 { // the address is used again for a retry
		got := fetch(t, address, "GET", nil)
		if body, err := io.ReadAll(got.Body); got.StatusCode != 200 || len(body) != 1000 || err != nil {
			t.Errorf("%s, %d bytes, %v", got.Status, len(body), err)
		}
	}
	if got := fetch(t, address, "HEAD", nil); got.StatusCode != 200 || got.ContentLength != 1000 {
		t.Errorf("HEAD of the address: %s", got.Status)
	}
	part := fetch(t, address, "GET", http.Header{"Range": {"bytes=10-19"}})
	if body, _ := io.ReadAll(part.Body); part.StatusCode != 206 || len(body) != 10 || part.Header.Get("Content-Range") != "bytes 10-19/1000" {
		t.Errorf("a range: %s, %d bytes, %v", part.Status, len(body), part.Header)
	}
	last := g.Forwarded()[len(g.Forwarded())-1]
	if last.Header.Get("Authorization") == "Bearer "+token || last.URL.RawQuery != "" {
		t.Errorf("the second host name forwards %v, %s", last.Header, last.URL.RawQuery)
	}
	other := "/v2/shared/blobs/" + strings.Replace(digest, "e3", "e4", 1)
	if res := call(t, g, "GET", other, token, nil); res.StatusCode != 404 {
		t.Errorf("a blob that is missing: %s", res.Status)
	}
}

func TestRule16_AddressOfABlob(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Grants: someGrants, Blobs: "*", Registry: blobRegistry(10)})
	g.Enrol(map[string]signer.Signer{"alice": key, "bob": gatetest.NewKey(t)})
	token := exchange(t, g, key, "repository:shared:pull").Token
	good, err := url.Parse(call(t, g, "GET", "/v2/shared/blobs/"+digest, token, nil).Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*url.URL, url.Values){
		"repository":   func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "shared", "library/x", 1) },
		"digest":       func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "e3", "e4", 1) },
		"manifest":     func(u *url.URL, _ url.Values) { u.Path = "/v2/shared/manifests/latest" },
		"token":        func(u *url.URL, _ url.Values) { u.Path = "/token" },
		"later":        func(_ *url.URL, q url.Values) { q.Set("expires", q.Get("expires")+"0") },
		"other key":    func(_ *url.URL, q url.Values) { q.Set("key", "SHA256:x") },
		"anonymous":    func(_ *url.URL, q url.Values) { q.Set("key", "") },
		"no MAC":       func(_ *url.URL, q url.Values) { q.Del("mac") },
		"empty MAC":    func(_ *url.URL, q url.Values) { q.Set("mac", "") },
		"two MACs":     func(_ *url.URL, q url.Values) { q.Add("mac", q.Get("mac")) },
		"two keys":     func(_ *url.URL, q url.Values) { q.Add("key", "x") },
		"two ends":     func(_ *url.URL, q url.Values) { q.Add("expires", "1") },
		"more":         func(_ *url.URL, q url.Values) { q.Set("more", "") },
		"nothing":      func(_ *url.URL, q url.Values) { clear(q) },
		"public host":  func(u *url.URL, _ url.Values) { u.Host = strings.TrimPrefix(g.URL, "http://") },
		"moved a byte": func(u *url.URL, q url.Values) { q.Set("key", "1"+q.Get("key")); q.Set("expires", q.Get("expires")[1:]) },
	} {
		u, q := *good, good.Query()
		change(&u, q)
		u.RawQuery = q.Encode()
		res := fetch(t, u.String(), "GET", nil)
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode < 400 || name != "public host" && len(body) != 0 {
			t.Errorf("%s: %s %q", name, res.Status, body)
		}
	}
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		if res := fetch(t, good.String(), method, nil); res.StatusCode != 404 {
			t.Errorf("%s: %s", method, res.Status)
		}
	}
	if n := len(g.Forwarded()); n != 1 {
		t.Errorf("%d requests reached the registry, want the one before the redirect", n)
	}
	// A token of the client is no address.
	u := *good
	u.RawQuery = ""
	if res := fetch(t, u.String(), "GET", http.Header{"Authorization": {"Bearer " + token}}); res.StatusCode != 403 {
		t.Errorf("with a token: %s", res.Status)
	}
	g.Write(setup.BlobSecretFile, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	g.Reload()
	if res := fetch(t, good.String(), "GET", nil); res.StatusCode != 403 {
		t.Errorf("after the secret changed: %s", res.Status)
	}
}

// A client takes the body of a refusal for the blob, also if the registry refuses.
func TestRule16_RefusalsOfTheRegistry(t *testing.T) {
	var fail atomic.Bool
	g, key := enrolled(t, gatetest.Options{Grants: someGrants, Blobs: "*", Registry: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fail.Load() {
			panic(http.ErrAbortHandler)
		}
		if r.Method == http.MethodGet {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://behind.example/"`)
			http.Error(w, "not the blob", http.StatusUnauthorized)
		}
	})})
	token := exchange(t, g, key, "repository:shared:pull").Token
	address := call(t, g, "GET", "/v2/shared/blobs/"+digest, token, nil).Header.Get("Location")
	for _, want := range []int{http.StatusUnauthorized, http.StatusBadGateway} {
		res := fetch(t, address, "GET", nil)
		body, err := io.ReadAll(res.Body)
		if res.StatusCode != want || len(body) != 0 || err != nil || res.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s %q %v, %v; want %d", res.Status, body, res.Header, err, want)
		}
		fail.Store(true)
	}
}

func TestParseSecret(t *testing.T) {
	good := strings.Repeat("A", 43) + "="
	for text, ok := range map[string]bool{
		good: true, good + "\n": true, good + " \r\n": true, good + "x": false, good[:40]: false, "": false, good + good: false, "!" + good[1:]: false,
	} {
		if secret, err := registry.ParseSecret([]byte(text)); (err == nil) != ok || (secret != nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRule16_LifetimeOfAnAddress(t *testing.T) {
	var size atomic.Int64
	g, key := enrolled(t, gatetest.Options{Grants: someGrants, Blobs: "*", Registry: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(size.Load(), 10))
	})})
	token := exchange(t, g, key, "repository:shared:pull").Token
	for mebibytes, want := range map[int64]time.Duration{0: time.Hour, 3600: time.Hour, 7200: 2 * time.Hour, 1 << 20: 24 * time.Hour} {
		size.Store(mebibytes << 20)
		address, err := url.Parse(call(t, g, "GET", "/v2/shared/blobs/"+digest, token, nil).Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		seconds, err := strconv.ParseInt(address.Query().Get("expires"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if life := time.Until(time.Unix(seconds, 0)); life > want || life < want-time.Minute {
			t.Errorf("%d MiB: %v, want %v", mebibytes, life, want)
		}
	}
}
