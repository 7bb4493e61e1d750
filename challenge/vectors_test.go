package challenge

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// vectors are requests that Ollama's own code made with a fixed key, clock and
// nonce: testdata/ollama.json says how.
type vectors struct {
	Key struct {
		Seed string `json:"seed_hex"`
	}
	Clock   struct{ TS int64 }
	Vectors []vector
}

type vector struct {
	Name   string
	Source string
	Method string
	URL    string
	Input  struct {
		Nonce        string
		URL          string
		OriginalHost string `json:"original_host"`
		Header       string `json:"www_authenticate"`
	}
	Signed        string `json:"signed_string"`
	Authorization string
	Prefix        string `json:"auth_prefix"`
	Extra         struct{ URL, Hostname string }
}

func loadVectors(t testing.TB) (vectors, signer.Signer) {
	t.Helper()
	data, err := os.ReadFile("testdata/ollama.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	seed, err := hex.DecodeString(v.Key.Seed)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.New(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return v, key
}

func (v vectors) vector(t *testing.T, name string) vector {
	t.Helper()
	i := slices.IndexFunc(v.Vectors, func(v vector) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("there is no vector %q", name)
	}
	return v.Vectors[i]
}

func TestOllamaSignatures(t *testing.T) {
	file, key := loadVectors(t)
	signed := 0
	for _, v := range file.Vectors {
		if v.Signed == "" {
			continue // a sign-in page: nothing is signed
		}
		signed++
		t.Run(v.Name, func(t *testing.T) {
			value, err := Sign(t.Context(), key, []byte(v.Signed))
			if err != nil {
				t.Fatal(err)
			}
			prefix := v.Prefix
			if v.Extra.URL != "" { // the form of 2025: the URL comes first
				prefix += base64.StdEncoding.EncodeToString([]byte(v.Extra.URL)) + ":"
			}
			if got := prefix + value; got != v.Authorization {
				t.Errorf("Authorization:\n got %s\nwant %s", got, v.Authorization)
			}
			pub, err := Verify(strings.TrimPrefix(v.Authorization, prefix), []byte(v.Signed))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := ssh.FingerprintSHA256(pub), ssh.FingerprintSHA256(key.PublicKey()); got != want {
				t.Errorf("Verify: key %s, want %s", got, want)
			}
			if _, err := Verify(value, []byte(v.Signed+" ")); err == nil {
				t.Error("Verify accepts a signature of other bytes")
			}
		})
	}
	if signed != 34 {
		t.Errorf("%d signed cases, want 34", signed)
	}
}

func TestOllamaTokenRequests(t *testing.T) {
	file, _ := loadVectors(t)
	n := 0
	for _, v := range file.Vectors {
		if v.Input.Header == "" {
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			all, err := Parse(http.Header{"Www-Authenticate": {v.Input.Header}})
			if err != nil || len(all) != 1 {
				t.Fatalf("Parse: %v, %v", all, err)
			}
			realm, err := url.Parse(all[0].Get("realm"))
			if err != nil {
				t.Fatal(err)
			}
			got := tokenURL(realm, all[0].Get("service"), all[0].Get("scope"), time.Unix(file.Clock.TS, 0), v.Input.Nonce)
			if got != v.URL {
				t.Errorf("token request:\n got %s\nwant %s", got, v.URL)
			}
			if want := string(TokenText(got)); want != v.Signed {
				t.Errorf("signed text:\n got %s\nwant %s", want, v.Signed)
			}
		})
	}
	if n != 13 {
		t.Errorf("%d token requests, want 13", n)
	}
}

func TestOllamaSignedRequests(t *testing.T) {
	file, key := loadVectors(t)
	n := 0
	for _, v := range file.Vectors {
		target, err := url.Parse(v.URL)
		// Left out: a path prefix or query that is sent and not signed, which
		// SignRequest does not do.
		if err != nil || v.Signed != v.Method+","+target.RequestURI() {
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			from := v.Input.URL
			if from == "" {
				from = strings.TrimSuffix(strings.Replace(v.URL, "ts=1700000000", "", 1), "?")
			}
			req, err := http.NewRequest(v.Method, from, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := signRequest(t.Context(), key, req, time.Unix(file.Clock.TS, 0)); err != nil {
				t.Fatal(err)
			}
			if req.URL.String() != v.URL {
				t.Errorf("URL:\n got %s\nwant %s", req.URL, v.URL)
			}
			if got := v.Prefix + req.Header.Get("Authorization"); got != v.Authorization {
				t.Errorf("Authorization:\n got %s\nwant %s", got, v.Authorization)
			}
		})
	}
	if n != 17 {
		t.Errorf("%d signed requests, want 17", n)
	}
}
