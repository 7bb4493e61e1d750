package registry_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/signer"
)

func TestRule01_Origin(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Origin: "https://reg.example"})
	for host, want := range map[string]int{
		"reg.example":      200,
		"reg.example:443":  200,
		"REG.example":      200,
		"reg.example:0443": 200,
		"reg.example:80":   421,
		"reg.example.":     421,
		"other.example":    421,
		"reg.example/":     421,
	} {
		r := ask(g)
		r.origin = "https://" + host
		if got := r.send(t, g, r.sign(t, key)); got.status != want {
			t.Errorf("%s: got %+v, want %d", host, got, want)
		}
	}
	// The signed origin must be the one that the client asks.
	for _, origin := range []string{"https://reg.example:443", "http://reg.example", "https://other.example"} {
		r := ask(g)
		r.origin, r.host = origin, "reg.example"
		if got := r.send(t, g, r.sign(t, key)); got.status != 401 {
			t.Errorf("signed for %s: got %+v, want 401", origin, got)
		}
	}
}

func TestRule01_ForwardedHostCountsForNothing(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	r := ask(g)
	r.origin = "https://other.example"
	req, err := http.NewRequest(http.MethodGet, g.URL+"/token?"+r.query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", r.sign(t, key))
	req.Header.Set("X-Forwarded-Host", "other.example")
	req.Header.Set("X-Forwarded-Proto", "https")
	req.Header.Set("Forwarded", "host=other.example;proto=https")
	if got := do(t, req); got.status != 401 {
		t.Errorf("got %+v, want 401", got)
	}
}

func TestRule03_TextsOfOtherForms(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	for name, change := range map[string]func(*request){
		"negative ts":       func(r *request) { r.query.Set("ts", "-1") },
		"ts with a zero":    func(r *request) { r.query.Set("ts", "0"+r.query.Get("ts")) },
		"no ts":             func(r *request) { r.query.Del("ts") },
		"two ts":            func(r *request) { r.query.Add("ts", r.query.Get("ts")) },
		"no nonce":          func(r *request) { r.query.Del("nonce") },
		"short nonce":       func(r *request) { r.query.Set("nonce", "AAEC") },
		"two nonces":        func(r *request) { r.query.Add("nonce", r.query.Get("nonce")) },
		"unknown parameter": func(r *request) { r.query.Set("more", "1") },
		"two services":      func(r *request) { r.query.Add("service", "other") },
	} {
		r := ask(g)
		change(&r)
		if got := r.send(t, g, r.sign(t, key)); got.status != 401 {
			t.Errorf("%s: got %+v, want 401", name, got)
		}
	}
}

func TestRule04_Authorization(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Grants: "[[grant]]\nanonymous = true\nrepositories = [\"*\"]\nactions = [\"pull\"]\n"})
	r := ask(g, "repository:a:pull")
	good, other := r.sign(t, key), r.sign(t, gatetest.NewKey(t))
	for name, fields := range map[string][]string{
		"twice":          {good, good},
		"empty":          {""},
		"long":           {good + strings.Repeat("A", 8<<10)},
		"another text":   {ask(g).sign(t, key)},
		"Basic":          {"Basic dTpw"},
		"Bearer":         {"Bearer " + good},
		"no signature":   {strings.SplitAfter(good, ":")[0]},
		"other key":      {strings.SplitAfter(good, ":")[0] + strings.Split(other, ":")[1]},
		"unknown key":    {other},
		"base64 with LF": {good[:10] + "\t" + good[10:]},
	} {
		if got := r.send(t, g, fields...); got.status != 401 || got.Token != "" {
			t.Errorf("%s: got %+v, want 401", name, got)
		}
	}
	if got := r.send(t, g); got.status != 200 {
		t.Errorf("anonymous: got %+v", got)
	}
	if got := r.send(t, g, good); got.status != 200 {
		t.Errorf("the request was spoilt by its wrong forms: %+v", got)
	}
}

func TestRule04_OnlyAProvedKeyLearnsItsState(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	unknown := gatetest.NewKey(t)
	r := ask(g)
	forged := strings.SplitAfter(r.sign(t, unknown), ":")[0] + strings.Split(r.sign(t, key), ":")[1]
	known := strings.SplitAfter(r.sign(t, key), ":")[0] + strings.Split(r.sign(t, unknown), ":")[1]
	one, two := r.send(t, g, forged), r.send(t, g, known)
	for _, fingerprint := range []string{ssh.FingerprintSHA256(unknown.PublicKey()), ssh.FingerprintSHA256(key.PublicKey())} {
		one.Error, two.Error = strings.ReplaceAll(one.Error, fingerprint, "KEY"), strings.ReplaceAll(two.Error, fingerprint, "KEY")
	}
	if one != two || one.status != 401 {
		t.Errorf("forged signatures of an unknown and of a known key: %+v and %+v", one, two)
	}
	if got := exchange(t, g, unknown); got.status != 401 || !strings.Contains(got.Error, "not enrolled: "+ssh.FingerprintSHA256(unknown.PublicKey())) {
		t.Errorf("a proved unknown key: %+v", got)
	}
}

func TestRule04_RSA(t *testing.T) {
	for bits, want := range map[int]int{1024: 401, 2048: 200} {
		if bits < 2048 {
			t.Setenv("GODEBUG", "rsa1024min=0")
		}
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		sshKey, err := ssh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		key := signer.FromSSH(sshKey)
		g := gatetest.Start(t, gatetest.Options{})
		g.Enrol(map[string]signer.Signer{"alice": key})
		if got := exchange(t, g, key); got.status != want {
			t.Errorf("%d bits: %+v, want %d", bits, got, want)
		}
	}
}

func TestRule04_RateBeforeTheSignature(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{Change: func(text string) string {
		return strings.Replace(text, "per_address = 50", "per_address = 1", 1)
	}})
	statuses := map[int]int{}
	for range 8 {
		statuses[ask(g).send(t, g, "wrong:wrong").status]++
	}
	if statuses[401] > 5 || statuses[429] < 3 {
		t.Errorf("statuses: %v", statuses)
	}
	if got := exchange(t, g, key); got.status != 429 {
		t.Errorf("an honest request from the same address: %+v", got)
	}
}

func TestTokenEndpointIsAudited(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	r := ask(g, "repository:users/alice/a:pull,delete", "repository:b:pull")
	auth := r.sign(t, key)
	reply := r.send(t, g, auth)
	all := g.Decisions()
	if len(all) != 1 {
		t.Fatalf("%d lines", len(all))
	}
	d := all[0]
	want := audit.Decision{
		Time: d.Time, Granted: true, Status: 200, Name: "alice", Key: ssh.FingerprintSHA256(key.PublicKey()),
		Address: "127.0.0.1", Site: g.Origin, Method: "GET", Path: "/token",
		Access: scope.Parse([]string{"repository:users/alice/a:pull,delete"}),
		Asked:  scope.Parse([]string{"repository:users/alice/a:pull,delete", "repository:b:pull"}),
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := fmt.Sprintf("%+v %s", all, g.Messages)
	for _, secret := range []string{reply.Token, auth, strings.Split(auth, ":")[1], r.query.Get("nonce")} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}
