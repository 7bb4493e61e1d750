package registry_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// call sends a request with a token. It follows no redirect.
func call(t testing.TB, g *gatetest.Gate, method, target, token string, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestRule02_TableOfPaths(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Grants: "[[grant]]\nnames = [\"*\"]\nrepositories = [\"*\"]\nactions = [\"pull\", \"push\", \"delete\"]\ncatalog = true\n"})
	token := exchange(t, g, key, "repository:a/b:pull,push,delete registry:catalog:*").Token
	const tags = "/v2/a/b/tags/list"
	allowed := map[string]string{
		"/v2/": "GET HEAD", "/v2/_catalog": "GET", "/v2/_catalog?n=1&last=a": "GET", tags: "GET", tags + "?n=1": "GET",
		"/v2/a/b/manifests/latest": "GET HEAD PUT DELETE", "/v2/a/b/manifests/" + digest: "GET HEAD PUT DELETE",
		"/v2/a/b/blobs/" + digest: "GET HEAD DELETE", "/v2/a/b/blobs/uploads/": "POST", "/v2/a/b/blobs/uploads/?digest=" + digest: "POST",
		"/v2/a/b/blobs/uploads/?from=a%2Fb&mount=sha256%3A0&origin=reg.example": "POST", // as crane asks
		"/v2/a/b/blobs/uploads/1-2_3=?_state=x&etag=y&digest=" + digest:         "GET HEAD PATCH PUT DELETE", "/v2/a/b/referrers/" + digest + "?artifactType=x": "GET",
	}
	refused := []string{
		"/v2", "/v2/a", "/v2/a/b", "/v2/_catalog/", tags + "/", "/v2/a/b/tags", "/v2/a/b/manifests/", "/v2/a/b/manifests/a/b", "/v2/a/b/blobs/x",
		"/v2/a%2Fb/tags/list", "/v2/a//b/tags/list", "/v2//tags/list", "/v2/a/../b/tags/list", "/v2/a/./b/tags/list", "/v2/a/b;x/tags/list", "/v2/A/tags/list",
		tags + "?x=1", tags + "?n=1&n=2", tags + "?n=%zz", "/v2/a/b/manifests/latest?ts=1", "/v2/a/b/blobs/" + digest + "?n=1", "/v2/?x", "/v3/", "/",
		"/v2/a/b/manifests/-x", "/v2/a/b/blobs/uploads/a.b",
	}
	for target, methods := range allowed {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "STEAL"} {
			before := len(g.Forwarded())
			res := call(t, g, method, target, token, nil)
			passed := len(g.Forwarded()) > before
			if want := slices.Contains(strings.Fields(methods), method); passed != want || passed != (res.StatusCode == 200) {
				t.Errorf("%s %s: %s, passed %v", method, target, res.Status, passed)
			}
			if passed {
				if got := g.Forwarded()[before].RequestURI; got != target {
					t.Errorf("%s became %s", target, got)
				}
			}
		}
	}
	before := len(g.Forwarded())
	for _, target := range refused {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			if method == "GET" && target == "/" {
				continue // answered by the gate
			}
			if res := raw(t, g, method, target, token); res == 200 {
				t.Errorf("%s %s: %d", method, target, res)
			}
		}
	}
	for _, r := range g.Forwarded()[before:] {
		t.Errorf("passed: %s %s", r.Method, r.RequestURI)
	}
}

// raw sends a request target as it is and returns the status.
func raw(t testing.TB, g *gatetest.Gate, method, target, token string) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, target, strings.TrimPrefix(g.URL, "http://"), token)
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var status int
	if _, err := fmt.Sscanf(string(reply), "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("%q", reply)
	}
	return status
}

func TestRule02_AbsoluteForm(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	token := exchange(t, g, key, "repository:users/alice/a:pull").Token
	for _, target := range []string{g.URL + "/v2/users/alice/a/tags/list", "http://other.example/v2/users/alice/a/tags/list", "*"} {
		if status := raw(t, g, "GET", target, token); status != 400 {
			t.Errorf("%s: %d, want 400", target, status)
		}
	}
	if n := len(g.Forwarded()); n != 0 {
		t.Errorf("%d requests passed", n)
	}
}

func TestRule05_Forwarding(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	token := exchange(t, g, key, "repository:users/alice/a:pull").Token
	const target = "/v2/users/alice/a/tags/list"
	kept := http.Header{"Accept": {"a/b"}, "Range": {"bytes=0-1"}, "User-Agent": {"test"}, "If-None-Match": {`"x"`}, "Docker-Content-Digest": {digest}}
	dropped := []string{
		"Cookie", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X_Forwarded_For", "X-Forwarded-User", "X-Real-Ip", "X_Real-Ip",
		"X-Countersign-User", "X-Countersign-Key", "X_Countersign_User", "x_countersign-key", "Remote-User", "Remote_User", "X-Remote-User", "X-Auth-Request-User",
		"Proxy-Authorization", "Te", "Via",
	}
	h := maps.Clone(kept)
	for _, name := range dropped {
		h[name] = []string{"x"}
	}
	h["Connection"] = []string{"Authorization, X-Countersign-User"}
	if res := call(t, g, "GET", target, token, h); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	got := g.Forwarded()[0]
	want := maps.Clone(kept)
	want["Authorization"] = []string{"Bearer " + token}
	got.Header.Del("Accept-Encoding")
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Host == strings.TrimPrefix(g.URL, "http://") {
		t.Error("the registry saw the public host")
	}
	for name, h := range map[string]http.Header{
		"upgrade": {"Connection": {"Upgrade"}, "Upgrade": {"websocket"}},
		"h2c":     {"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "HTTP2-Settings": {"AAMAAABkAAQAoAAAAAIAAAAA"}},
	} {
		if res := call(t, g, "GET", target, token, h); res.StatusCode != 400 {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	for _, method := range []string{"CONNECT", "TRACE"} {
		if status := raw(t, g, method, target, token); status == 200 {
			t.Errorf("%s: %d", method, status)
		}
	}
	if n := len(g.Forwarded()); n != 1 {
		t.Errorf("%d requests passed, want 1", n)
	}
}

func TestRule05_Trailers(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Registry: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if len(r.Trailer) > 0 {
			w.WriteHeader(http.StatusTeapot)
		}
	})})
	token := exchange(t, g, key, "repository:users/alice/a:pull,push").Token
	req, err := http.NewRequest(http.MethodPut, g.URL+"/v2/users/alice/a/manifests/latest", io.LimitReader(zeros{}, 10))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Trailer = http.Header{"X-Countersign-User": {"root"}, "X-Other": {"y"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestProxyChallenges(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Origin: "https://reg.example"})
	token := exchange(t, g, key, "repository:users/alice/a:pull").Token
	host := func() http.Header { return http.Header{"Host": {"reg.example:443"}} }
	const form = `Bearer realm="https://reg.example:443/token",service="reg.example",scope="repository:users/alice/%s"%s`
	for _, tt := range []struct{ method, target, token, want string }{
		{"GET", "/v2/", "", `Bearer realm="https://reg.example:443/token",service="reg.example"`},
		{"GET", "/v2/users/alice/a/tags/list", "", fmt.Sprintf(form, "a:pull", "")},
		{"PUT", "/v2/users/alice/a/manifests/x", token, fmt.Sprintf(form, "a:pull,push", `,error="insufficient_scope"`)},
		{"DELETE", "/v2/users/alice/b/manifests/x", token, fmt.Sprintf(form, "b:delete", `,error="insufficient_scope"`)},
		{"POST", "/v2/users/alice/a/blobs/uploads/?mount=x&from=library/b", token, fmt.Sprintf(form, "a:pull,push repository:library/b:pull", `,error="insufficient_scope"`)},
		{"POST", "/v2/users/alice/a/blobs/uploads/?mount=x&from=library/b", "", fmt.Sprintf(form, "a:pull,push repository:library/b:pull", "")},
		{"POST", "/v2/users/alice/a/blobs/uploads/?mount=x&from=%22:pull,push", token, fmt.Sprintf(form, "a:pull,push", `,error="insufficient_scope"`)},
		{"GET", "/v2/users/alice/a/tags/list", "wrong", fmt.Sprintf(form, "a:pull", `,error="invalid_token"`)},
		{"GET", "/v2/users/alice/a/tags/list", otherSignature(token), fmt.Sprintf(form, "a:pull", `,error="invalid_token"`)},
	} {
		res := call(t, g, tt.method, tt.target, tt.token, host())
		if got := res.Header.Get("WWW-Authenticate"); got != tt.want || res.StatusCode != 401 {
			t.Errorf("%s %s: %s %q, want %q", tt.method, tt.target, res.Status, got, tt.want)
		}
	}
	res := call(t, g, "GET", "/v2/users/bob/a/tags/list", token, host())
	if res.StatusCode != 403 || res.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("without a grant: %s %v", res.Status, res.Header)
	}
	res = call(t, g, "HEAD", "/v2/users/bob/a/manifests/latest", token, host())
	if got, want := res.Header.Get("Warning"), `299 - "alice has no grant for repository:users/bob/a:pull"`; res.StatusCode != 403 || got != want {
		t.Errorf("HEAD without a grant: %s, warning %q, want %q", res.Status, got, want)
	}
	for _, h := range []http.Header{{"Authorization": {"Bearer " + token, "Bearer " + token}}, {"Authorization": {"Basic dTpw"}}} {
		h.Set("Host", "reg.example")
		if res := call(t, g, "GET", "/v2/", "", h); res.StatusCode != 401 {
			t.Errorf("%v: %s", h, res.Status)
		}
	}
	if n := len(g.Forwarded()); n != 0 {
		t.Errorf("%d requests passed", n)
	}
}

// otherSignature returns token with another first byte of its signature.
func otherSignature(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	first := "A"
	if token[i] == 'A' {
		first = "Z"
	}
	return token[:i] + first + token[i+1:]
}

func TestRule08_TokenOfAnotherSite(t *testing.T) {
	one, key := enrolled(t, gatetest.Options{})
	two := gatetest.Start(t, gatetest.Options{})
	two.Enrol(map[string]signer.Signer{"alice": key})
	token := exchange(t, one, key, "repository:users/alice/a:pull").Token
	if res := call(t, two, "GET", "/v2/", token, nil); res.StatusCode != 401 {
		t.Errorf("another root: %s", res.Status)
	}
	// The same root: issuer and service still differ.
	for _, name := range []string{setup.RootFile, setup.CertificateFile, "token.key"} {
		data, err := os.ReadFile(filepath.Join(one.Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(two.Folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	two.Reload()
	if err := two.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := call(t, two, "GET", "/v2/", token, nil); res.StatusCode != 401 || !strings.Contains(two.LastReason(), "another site") {
		t.Errorf("the same root: %s, %s", res.Status, two.LastReason())
	}
}

func TestRule10_RemovedKey(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Grants: someGrants, Blobs: "*", Registry: blobRegistry(10), Change: func(text string) string {
		return strings.NewReplacer("per_address = 50", "per_address = 100000", "per_key = 100", "per_key = 100000").Replace(text)
	}})
	g.Enrol(map[string]signer.Signer{"alice": key, "bob": gatetest.NewKey(t)})
	token := exchange(t, g, key, "repository:shared:pull").Token
	blob := call(t, g, "GET", "/v2/shared/blobs/"+digest, token, nil).Header.Get("Location")
	get := func() (int, int) {
		return call(t, g, "GET", "/v2/shared/tags/list", token, nil).StatusCode, fetch(t, blob, "GET", nil).StatusCode
	}
	if one, two := get(); one != 200 || two != 200 {
		t.Fatalf("before: %d and %d", one, two)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go g.Watch(ctx, nil)
	g.Write(setup.AuthorizedFile, "# nobody\n")
	deadline := time.Now().Add(5 * time.Second) // far more than a second, for a busy machine
	for {
		one, two := get()
		if one == 401 && two == 401 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the removed key still gets %d and %d", one, two)
		}
	}
}

func TestRule10_EndedGrant(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Grants: someGrants, Blobs: "*", Registry: blobRegistry(10)})
	token := exchange(t, g, key, "repository:shared:pull").Token
	blob := call(t, g, "GET", "/v2/shared/blobs/"+digest, token, nil).Header.Get("Location")
	g.Write(setup.GrantsFile, "[[grant]]\nnames = [\"alice\"]\nrepositories = [\"other\"]\nactions = [\"pull\"]\n")
	g.Reload()
	if res := call(t, g, "GET", "/v2/shared/tags/list", token, nil); res.StatusCode != 403 {
		t.Errorf("registry: %s", res.Status)
	}
	if res := fetch(t, blob, "GET", nil); res.StatusCode != 403 {
		t.Errorf("blob: %s", res.Status)
	}
}

func TestRule14_RotatedSigningKey(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	old := exchange(t, g, key, "repository:users/alice/a:pull").Token
	if _, err := setup.Rotate(t.Context(), g.Config.Sites[0], backends.New().Mux(), time.Now()); err != nil {
		t.Fatal(err)
	}
	g.Reload()
	fresh := exchange(t, g, key, "repository:users/alice/a:pull").Token
	header := func(token string) string { return strings.Split(token, ".")[0] }
	if header(old) == header(fresh) {
		t.Error("the new token has the old certificate")
	}
	for _, token := range []string{old, fresh} {
		if res := call(t, g, "GET", "/v2/users/alice/a/tags/list", token, nil); res.StatusCode != 200 {
			t.Error(res.Status)
		}
	}
	if err := g.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	// A certificate without its key is not used: the last one stays.
	if err := os.Remove(filepath.Join(g.Folder, "token.key")); err != nil {
		t.Fatal(err)
	}
	g.Write(setup.CertificateFile, "nothing")
	g.Reload()
	if err := g.Ready(t.Context()); err == nil {
		t.Error("ready with a damaged certificate")
	}
	if got := exchange(t, g, key, "repository:users/alice/a:pull"); got.status != 200 {
		t.Errorf("with a damaged certificate: %+v", got)
	}
}

func TestRule15_Mount(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	token := exchange(t, g, key, "repository:users/alice/a:pull,push repository:library/base:pull").Token
	const start = "/v2/users/alice/a/blobs/uploads/"
	for query, want := range map[string]string{
		"?mount=" + digest + "&from=library/base":    "?mount=" + digest + "&from=library/base",
		"?mount=" + digest + "&from=users/bob/x":     "",
		"?mount=" + digest + "&from=library/x":       "",
		"?from=users/bob/x&mount=x&origin=r.example": "",
		"?mount=" + digest + "&from=library%2Fbase":  "?mount=" + digest + "&from=library%2Fbase",
		"?mount=" + digest + "&from=../x":            "",
		"?mount=" + digest + "&from=":                "",
		"?mount=" + digest:                           "",
		"?from=users/bob/x&digest=" + digest:         "?digest=" + url.QueryEscape(digest),
	} {
		before := len(g.Forwarded())
		res := call(t, g, "POST", start+query, token, nil)
		if all := g.Forwarded()[before:]; len(all) != 1 || res.StatusCode != 200 || all[0].RequestURI != start+want {
			t.Errorf("%s: %s, %d requests, want %s", query, res.Status, len(all), want)
			for _, r := range all {
				t.Error(r.RequestURI)
			}
		}
	}
	// The grant must still be there, not only the token.
	g.Write(setup.GrantsFile, "[[grant]]\nnames = [\"alice\"]\nrepositories = [\"users/alice/a\"]\nactions = [\"pull\", \"push\"]\n")
	g.Reload()
	call(t, g, "POST", start+"?mount="+digest+"&from=library/base", token, nil)
	if all := g.Forwarded(); all[len(all)-1].RequestURI != start {
		t.Errorf("without the grant: %s", all[len(all)-1].RequestURI)
	}
}

func TestLocationIsPublic(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Origin: "https://reg.example", Registry: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.ReplaceAll(r.Header.Get("X-Test"), "UPSTREAM", "http://"+r.Host))
		w.Header().Set("Link", `<http://`+r.Host+`/v2/_catalog?last=a>; rel="next"`)
	})})
	token := exchange(t, g, key, "repository:users/alice/a:pull,push").Token
	for location, want := range map[string]string{
		"UPSTREAM/v2/users/alice/a/blobs/uploads/1?_state=a%2Fb": "https://reg.example:443/v2/users/alice/a/blobs/uploads/1?_state=a%2Fb",
		"/v2/users/alice/a/blobs/uploads/1":                      "https://reg.example:443/v2/users/alice/a/blobs/uploads/1",
		"https://storage.example/x":                              "https://storage.example/x",
		"UPSTREAM.evil.example/x":                                "UPSTREAM.evil.example/x",
	} {
		h := http.Header{"Host": {"reg.example:443"}, "X-Test": {location}}
		res := call(t, g, "POST", "/v2/users/alice/a/blobs/uploads/", token, h)
		if link := res.Header.Get("Link"); link != `<https://reg.example:443/v2/_catalog?last=a>; rel="next"` {
			t.Errorf("the link is %s", link)
		}
		got := res.Header.Get("Location")
		if host := "http://" + g.Forwarded()[0].Host; strings.ReplaceAll(got, host, "UPSTREAM") != want {
			t.Errorf("%s became %s, want %s", location, got, want)
		}
	}
}
