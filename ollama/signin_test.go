package ollama_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/ollama"
)

// vectors holds requests that Ollama's own code made with a fixed key, clock and
// nonce.
type vectors struct {
	Key struct {
		Seed string `json:"seed_hex"`
		Line string `json:"authorized_key_line"`
	}
	Vectors []vector
}

type vector struct {
	Name          string
	URL           string
	Signed        string `json:"signed_string"`
	Authorization string
	Extra         struct{ Hostname string }
}

func loadVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("../challenge/testdata/ollama.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v vectors) privateKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	seed, err := hex.DecodeString(v.Key.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

func (v vectors) publicKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	pub, err := ssh.NewPublicKey(v.privateKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// TestSignInURLVectors compares with the URLs of Ollama's server and of its desktop
// app, which adds a parameter that starts the app afterwards.
func TestSignInURLVectors(t *testing.T) {
	file := loadVectors(t)
	after := map[string]string{"signin-url": "", "connect-url": "&launch=true"}
	for _, v := range file.Vectors {
		suffix, ok := after[v.Name]
		if !ok {
			continue
		}
		delete(after, v.Name)
		got, err := ollama.SignInURL("https://ollama.com", file.publicKey(t), v.Extra.Hostname)
		if err != nil || got+suffix != v.URL {
			t.Errorf("%s: got %s, %v\nwant %s", v.Name, got, err, v.URL)
		}
	}
	if len(after) > 0 {
		t.Errorf("no such vectors: %v", after)
	}
}

func TestSignInURLBases(t *testing.T) {
	pub := loadVectors(t).publicKey(t)
	for base, want := range map[string]string{
		"https://ollama.com/":            "https://ollama.com/connect",
		"http://127.0.0.1:8080":          "http://127.0.0.1:8080/connect",
		"https://[::1]:8443":             "https://[::1]:8443/connect",
		"https://example.com/ollama":     "https://example.com/ollama/connect",
		"https://example.com/ollama//":   "https://example.com/ollama/connect",
		"https://example.com/a%2Fb%20c/": "https://example.com/a%2Fb%20c/connect",
		"HTTPS://example.com":            "https://example.com/connect",
	} {
		got, err := ollama.SignInURL(base, pub, "vm")
		if page, _, _ := strings.Cut(got, "?"); err != nil || page != want {
			t.Errorf("%s: got %s, %v; want %s", base, page, err, want)
		}
	}
}

func TestSignInURLNames(t *testing.T) {
	pub := loadVectors(t).publicKey(t)
	for _, name := range []string{"", "vm", "Ann's Mac", "R&D+1=2", "100%", "a#b?c/d;e", "büro", "a\r\nb", "\xff"} {
		got, err := ollama.SignInURL("https://ollama.com", pub, name)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(query) != 2 || query.Get("name") != name || strings.Contains(got, "+") {
			t.Errorf("%q: the page reads %q from %s, %v", name, query.Get("name"), got, err)
		}
		key, err := base64.RawURLEncoding.DecodeString(query.Get("key"))
		if back, _, _, _, parseErr := ssh.ParseAuthorizedKey(key); parseErr != nil || string(back.Marshal()) != string(pub.Marshal()) {
			t.Errorf("%q: the page reads the key %q: %v, %v", name, key, err, parseErr)
		}
	}
}

func TestSignInURLErrors(t *testing.T) {
	pub := loadVectors(t).publicKey(t)
	for base, want := range map[string]string{
		"":                              "no http or https URL",
		"ollama.com":                    "no http or https URL",
		"/connect":                      "no http or https URL",
		"//ollama.com":                  "no http or https URL",
		"https:ollama.com":              "no http or https URL",
		"https://":                      "no http or https URL",
		"https://:443":                  "no http or https URL",
		"ftp://ollama.com":              "no http or https URL",
		"javascript:alert(1)":           "no http or https URL",
		"https://u:hunter2@host:port":   "no http or https URL",
		"https://ollama.com\n":          "no http or https URL",
		"https://u:hunter2@ollama.com":  "leave it out",
		"https://hunter2@ollama.com":    "leave it out",
		"https://ollama.com?a=hunter2":  "end it before",
		"https://ollama.com/?":          "end it before",
		"https://ollama.com/#/settings": "end it before",
	} {
		got, err := ollama.SignInURL(base, pub, "vm")
		if got != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v; want an error with %q", base, got, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats a password: %v", base, err)
		}
	}
}
