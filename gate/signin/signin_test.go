package signin_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/gate/signin"
	"github.com/countersign/countersign/signer"
)

type meReply struct {
	status    int
	Name      string
	Error     string
	SignInURL string `json:"signin_url"`
}

func me(t testing.TB, g *gatetest.Gate, key signer.Signer, change ...func(*http.Request)) meReply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.URL+"/api/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := challenge.SignRequest(t.Context(), key, req); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r := meReply{status: res.StatusCode}
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func pending(t testing.TB, g *gatetest.Gate) []signin.Key {
	t.Helper()
	all, err := signin.NewPending(g.Config.Keys.Pending).List()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMe(t *testing.T) {
	g, key := gatetest.Start(t, gatetest.Options{}), gatetest.NewKey(t)
	for range 2 {
		got := me(t, g, key)
		want, err := challenge.SignInURL(g.Origin, key.PublicKey(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got.status != 401 || got.Error != "unauthorized" || got.SignInURL != want {
			t.Errorf("got %+v", got)
		}
	}
	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	if all := pending(t, g); len(all) != 1 || all[0].Fingerprint() != fingerprint || all[0].Address != "127.0.0.1" {
		t.Errorf("waiting: %+v", all)
	}
	g.Enrol(map[string]signer.Signer{"alice": key})
	if got := me(t, g, key); got.status != 200 || got.Name != "alice" {
		t.Errorf("enrolled: %+v", got)
	}
	g.Write(setup.AuthorizedFile, `expiry-time="20200101Z" `+signer.AuthorizedKey(key.PublicKey())+" alice\n")
	g.Reload()
	if got := me(t, g, key); got.status != 401 || got.SignInURL != "" || !strings.Contains(got.Error, "expired") {
		t.Errorf("expired: %+v", got)
	}
	if all := g.Decisions(); all[len(all)-1].Granted {
		t.Error("the last decision is granted")
	}
	g.Enrol(nil)
	g.Write(setup.PendingFile, "{")
	if got := me(t, g, gatetest.NewKey(t)); got.status != 503 || got.SignInURL != "" {
		t.Errorf("with a damaged list: %+v", got)
	}
	for _, r := range g.Forwarded() {
		t.Errorf("%s reached the server", r.RequestURI)
	}
}

// Only a fresh signed POST of the key itself makes it wait.
func TestRule07_WaitingKeys(t *testing.T) {
	g, key := gatetest.Start(t, gatetest.Options{}), gatetest.NewKey(t)
	page, err := challenge.SignInURL(g.URL, key.PublicKey(), "host")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		res, err := http.Get(page)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	old := fmt.Sprint("ts=", time.Now().Add(-2*time.Minute).Unix())
	sign := func(method, target string) func(*http.Request) {
		return func(r *http.Request) {
			auth, err := challenge.Sign(t.Context(), key, challenge.APIText(method, target))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", auth)
		}
	}
	other := gatetest.NewKey(t)
	for name, change := range map[string]func(*http.Request){
		"GET":          func(r *http.Request) { r.Method = "GET"; sign("GET", r.URL.RequestURI())(r) },
		"old":          func(r *http.Request) { r.URL.RawQuery = old; sign("POST", "/api/me?"+old)(r) },
		"no signature": func(r *http.Request) { r.Header.Del("Authorization") },
		"other text":   sign("POST", "/api/chat?ts=1"),
		"other key": func(r *http.Request) {
			_, blob, _ := strings.Cut(r.Header.Get("Authorization"), ":")
			r.Header.Set("Authorization", strings.Fields(signer.AuthorizedKey(other.PublicKey()))[1]+":"+blob)
		},
	} {
		if got := me(t, g, key, change); got.status != 401 && got.status != 405 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if all := pending(t, g); len(all) != 0 {
		t.Errorf("waiting: %+v", all)
	}
}

func TestRule07_FullList(t *testing.T) {
	p := signin.NewPending(filepath.Join(t.TempDir(), "pending"))
	first := gatetest.NewKey(t).PublicKey()
	if err := p.Add(t.Context(), first, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	var lines []signin.Key
	for range 1000 {
		lines = append(lines, signin.Key{Line: signer.AuthorizedKey(gatetest.NewKey(t).PublicKey())})
	}
	lines[0].Line = signer.AuthorizedKey(first)
	data, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(t.TempDir(), "full")
	if err := os.WriteFile(full, data, 0o600); err != nil {
		t.Fatal(err)
	}
	p = signin.NewPending(full)
	if err := p.Add(t.Context(), gatetest.NewKey(t).PublicKey(), "", time.Now()); err != signin.ErrFull {
		t.Errorf("one more: %v", err)
	}
	if err := p.Add(t.Context(), first, "", time.Now()); err != nil {
		t.Errorf("one that waits: %v", err)
	}
	if all, err := p.List(); err != nil || len(all) != 1000 || all[0].Line != lines[0].Line {
		t.Errorf("%d wait, %v", len(all), err)
	}
	if err := p.Remove(t.Context(), lines[1].Fingerprint()); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(t.Context(), gatetest.NewKey(t).PublicKey(), "", time.Now()); err != nil {
		t.Errorf("after one was removed: %v", err)
	}
}

// One address cannot fill the list, also not with the many addresses of one network of IPv6.
func TestRule07_OneAddressCannotFillTheList(t *testing.T) {
	p := signin.NewPending(filepath.Join(t.TempDir(), "pending"))
	add := func(address string) error {
		return p.Add(t.Context(), gatetest.NewKey(t).PublicKey(), address, time.Now())
	}
	first := gatetest.NewKey(t).PublicKey()
	if err := p.Add(t.Context(), first, "2001:db8::1", time.Now()); err != nil {
		t.Fatal(err)
	}
	for i := range 49 {
		if err := add(fmt.Sprintf("2001:db8::1:%x", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("2001:db8::2"); !errors.Is(err, signin.ErrFull) {
		t.Errorf("one more of the same network: %v", err)
	}
	if err := errors.Join(add("2001:db8:0:1::1"), add("192.0.2.1"), p.Add(t.Context(), first, "2001:db8::1", time.Now())); err != nil {
		t.Errorf("other addresses, and a key that waits: %v", err)
	}
	if err := p.Remove(t.Context(), ssh.FingerprintSHA256(first)); err != nil {
		t.Fatal(err)
	}
	if err := add("2001:db8::2"); err != nil {
		t.Errorf("after one was removed: %v", err)
	}
}

func TestPendingIsSafeForConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending")
	var tasks sync.WaitGroup
	for range 20 {
		key := gatetest.NewKey(t).PublicKey()
		tasks.Go(func() {
			if err := signin.NewPending(path).Add(t.Context(), key, "", time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	tasks.Wait()
	if all, err := signin.NewPending(path).List(); err != nil || len(all) != 20 {
		t.Errorf("%d wait, %v", len(all), err)
	}
}

func get(t testing.TB, address string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// element returns the text of the element with an id.
func element(t testing.TB, page, id string) string {
	t.Helper()
	m := regexp.MustCompile(`id="` + id + `">([^<]*)<`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func TestConnect(t *testing.T) {
	g, key := gatetest.Start(t, gatetest.Options{}), gatetest.NewKey(t)
	const name = `<script>alert("x")</script>` + "\u202e$(rm -rf /); & more"
	page, err := challenge.SignInURL(g.URL, key.PublicKey(), name)
	if err != nil {
		t.Fatal(err)
	}
	res, body := get(t, page+"&launch=true")
	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	if res.StatusCode != 200 || element(t, body, "fingerprint") != fingerprint || element(t, body, "command") != "countersignd approve "+fingerprint+" NAME" ||
		element(t, body, "origin") != g.Origin || !strings.HasPrefix(element(t, body, "name"), `<script>alert("x")</script>\u202e`) {
		t.Errorf("%s\n%s", res.Status, body)
	}
	if strings.Contains(body, "<script") || strings.Contains(element(t, body, "command"), "rm -rf") {
		t.Error("the claimed name is in the page or in the command as it is")
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'sha256-", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the header: %v", res.Header)
	}
}

func TestConnectDoesNotTellWhetherAKeyIsEnrolled(t *testing.T) {
	g, key := gatetest.Start(t, gatetest.Options{}), gatetest.NewKey(t)
	page, err := challenge.SignInURL(g.URL, key.PublicKey(), "host")
	if err != nil {
		t.Fatal(err)
	}
	_, before := get(t, page)
	g.Enrol(map[string]signer.Signer{"alice": key})
	if _, after := get(t, page); after != before {
		t.Error("the page changed")
	}
}

func TestConnectRefuses(t *testing.T) {
	g := gatetest.Start(t, gatetest.Options{})
	for _, query := range []string{"", "key=", "key=AAAA", "key=%zz", "key=c3NoLWVkMjU1MTkgQUFBQQ", "key=a&key=b", "name=x"} {
		if res, body := get(t, g.URL+"/connect?"+query); res.StatusCode != 400 || element(t, body, "mistake") == "" || strings.Contains(body, "approve") {
			t.Errorf("%s: %s", query, res.Status)
		}
	}
	const sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDrh4n2MYbJuUY0Hj4CtD2p2GzfOkHJxNq1sg+7XsAzUAAAABHNzaDo="
	if _, body := get(t, g.URL+"/connect?key="+base64.RawURLEncoding.EncodeToString([]byte(sk))); !strings.Contains(element(t, body, "mistake"), "a key of type sk-ssh-ed25519@openssh.com") {
		t.Errorf("a security key:\n%s", body)
	}
	res, err := http.PostForm(g.URL+"/connect", url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != 405 {
		t.Errorf("POST: %s", res.Status)
	}
}

func TestSignInCanBeSwitchedOff(t *testing.T) {
	g, key := gatetest.Start(t, gatetest.Options{Change: func(text string) string {
		return strings.Replace(text, `pending = "pending.json"`, "", 1)
	}}), gatetest.NewKey(t)
	if got := me(t, g, key); got.status != 401 || got.SignInURL != "" || !strings.Contains(got.Error, "ask the operator") {
		t.Errorf("got %+v", got)
	}
	if res, _ := get(t, g.URL+"/connect?key=x"); res.StatusCode != 404 {
		t.Errorf("the page: %s", res.Status)
	}
}
