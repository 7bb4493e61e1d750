package challenge_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

// chaos is a network on which every host answers as the next bytes say.
type chaos struct {
	t       *testing.T
	answers []byte
	text    string // for headers and bodies
}

const (
	chaosRegistry = "https://registry.ollama.ai"
	chaosRealm    = "https://ollama.com" // a pair with it
)

func (c *chaos) next() byte {
	if len(c.answers) == 0 {
		return 0
	}
	b := c.answers[0]
	c.answers = c.answers[1:]
	return b
}

// RoundTrip also checks that no other host gets a token, nor a realm that must be
// refused a signature.
func (c *chaos) RoundTrip(req *http.Request) (*http.Response, error) {
	auth := req.Header.Get("Authorization")
	origin := strings.ToLower((&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host}).String())
	switch {
	case strings.HasPrefix(auth, "Bearer ") && origin != chaosRegistry:
		c.t.Errorf("a token went to %s", req.URL)
	case auth != "" && !strings.HasPrefix(auth, "Bearer ") && origin != chaosRegistry && origin != chaosRealm:
		c.t.Errorf("a signature went to %s", req.URL)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Request: req, ProtoMajor: 1, ProtoMinor: 1}
	body := `{"token":"t","expires_in":60}`
	challenge := func(realm string) {
		resp.StatusCode = 401
		resp.Header.Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="s",scope="repository:a:pull"`)
	}
	switch c.next() % 14 {
	case 1:
		challenge(chaosRegistry + "/token")
	case 2:
		challenge(chaosRealm + "/token?a=b")
	case 3:
		challenge("https://evil.example/token")
	case 4:
		challenge("http://ollama.com/token")
	case 5:
		challenge(c.text)
	case 6:
		resp.StatusCode = 401
		resp.Header["Www-Authenticate"] = strings.Split(c.text, "\n")
	case 7:
		body = c.text
	case 8:
		resp.StatusCode = 503
		resp.Header.Set("Retry-After", c.text)
	case 9:
		resp.StatusCode = 307
		resp.Header.Set("Location", "https://evil.example/v2/")
	case 10:
		return nil, errors.New("cut")
	case 11:
		resp.StatusCode = 403
		resp.Header.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	case 12:
		body = `{"token":"` + c.text
	case 13:
		body = `{"access_token":"t","expires_in":` + c.text + `,"issued_at":"` + time.Now().Format(time.RFC3339) + `"}`
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

func FuzzFlow(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0}, "")
	f.Add([]byte{2, 13, 0, 9, 0}, "300")
	f.Add([]byte{3, 0, 4, 0, 5, 0}, "https://registry.ollama.ai@evil.example/")
	f.Add([]byte{6, 8, 0, 0}, "Bearer realm=\"https://registry.ollama.ai/token\"\nBasic")
	f.Add([]byte{1, 8, 8, 10, 0, 0, 1, 11, 0, 0}, "2")
	f.Add([]byte{1, 7, 1, 12, 1, 0, 1}, "{}")
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answers []byte, text string) {
		synctest.Test(t, func(t *testing.T) { // so that waiting takes no time, and a hang is found
			network := &chaos{t, answers, text}
			checked := signer.Func(key.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
				if s := strings.ToLower(string(msg)); !strings.HasPrefix(s, "get,"+chaosRegistry) && !strings.HasPrefix(s, "get,"+chaosRealm) {
					t.Errorf("signed %q", msg)
				}
				return key.Sign(ctx, msg)
			})
			client := &http.Client{Transport: &challenge.Transport{Base: network, Client: &challenge.Client{
				HTTP: &http.Client{Transport: network},
				Key:  challenge.StaticKey(checked),
			}}}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			for _, path := range []string{"/v2/a/manifests/latest", "/v2/a/blobs/x", "/v2/b/manifests/latest", "/v2/"} {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, chaosRegistry+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err == nil {
					resp.Body.Close()
				} else if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' && r != '\n' }) {
					t.Errorf("control characters in %q", err)
				}
				time.Sleep(30 * time.Second)
			}
		})
	})
}
