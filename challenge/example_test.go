package challenge_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// newKey stands for a key that some backend opened.
func newKey() signer.Signer {
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// A registry to talk to, in this process.
func startRegistry() *challengetest.Registry {
	registry, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	registry.AddImage("library/llama3", "latest", []byte("weights"))
	return registry
}

// An http.Client that answers challenges. Nothing else in the program changes.
func ExampleTransport() {
	registry := startRegistry()
	defer registry.Close()
	key := newKey()

	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{
		Key: challenge.StaticKey(key),
	}}}
	resp, err := client.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// The same, a step at a time.
func ExampleClient_Token() {
	registry := startRegistry()
	defer registry.Close()
	key := newKey()

	resp, err := http.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status, "for", ch.Get("scope"))

	client := &challenge.Client{Key: challenge.StaticKey(key)}
	token, err := client.Token(context.Background(), ch, resp.Request)
	if err != nil {
		log.Fatal(err)
	}
	req := resp.Request.Clone(context.Background())
	req.Header.Set("Authorization", "Bearer "+token.Value())
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// 401 Unauthorized for repository:library/llama3:pull
	// 200 OK
}

func ExampleSign() {
	text := []byte("POST,/api/me?ts=1700000000")
	value, err := challenge.Sign(context.Background(), newKey(), text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(value[:68])
	fmt.Println(value[69:])

	pub, err := challenge.Verify(value, text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ssh.FingerprintSHA256(pub))
	// Output:
	// AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop
	// XhuOJBFM1Vo8VzauMXtZHZ9T2ZBOkQeqo2U1VfqQLv56E38XIDxJbKJPUfPrcb3psr/7DTCfn1l3jxaVJwZjBQ==
	// SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo
}

// Ollama's API takes a signature instead of a challenge.
func ExampleRequestSigner() {
	registry := startRegistry()
	defer registry.Close()
	key := newKey()

	origin, err := challenge.ParseOrigin(registry.URL)
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &challenge.RequestSigner{
		Origins: []challenge.Origin{origin}, // no other server gets a signature
		Key:     challenge.StaticKey(key),
	}}
	resp, err := client.Post(registry.URL+"/api/me", "application/json", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	// Output: {"fingerprint":"SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo","name":"challengetest"}
}

// A Policy tells, without a key, whether a challenge may be answered.
func ExamplePolicy() {
	origin := func(text string) challenge.Origin {
		o, err := challenge.ParseOrigin(text)
		if err != nil {
			log.Fatal(err)
		}
		return o
	}
	policy := challenge.Policy{Pairs: append(challenge.DefaultRealms(), challenge.RealmPair{
		Registry: origin("https://registry.example.com"),
		Realm:    origin("https://login.example.com"),
	})}
	for _, registry := range []string{"https://registry.example.com", "https://registry.example.org"} {
		_, err := policy.CheckRealm(origin(registry), "https://login.example.com/token")
		fmt.Println(registry, err)
	}
	// Output:
	// https://registry.example.com <nil>
	// https://registry.example.org realm refused: it is on another origin than the registry: if that is right, list the two as a pair
}

// An Origin has one form for each server, so that two of them can be compared.
func ExampleParseOrigin() {
	for _, text := range []string{"HTTPS://Registry.example.com:443/", "https://registry.example.com", "ftp://registry.example.com"} {
		origin, err := challenge.ParseOrigin(text)
		fmt.Printf("%q %v\n", origin, err)
	}
	// Output:
	// "https://registry.example.com" <nil>
	// "https://registry.example.com" <nil>
	// "" not an origin: its scheme is not http or https
}

// A KeyFunc may return another key for each registry.
func ExampleKeyFunc() {
	registry := startRegistry()
	defer registry.Close()
	work := newKey()

	own, err := challenge.ParseOrigin(registry.URL)
	if err != nil {
		log.Fatal(err)
	}
	var keyOf challenge.KeyFunc = func(_ context.Context, origin challenge.Origin) (signer.Signer, error) {
		if origin == own {
			return work, nil
		}
		return nil, fmt.Errorf("%w: there is no key for %s", signer.ErrNotFound, origin)
	}
	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{Key: keyOf}}}
	resp, err := client.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// A StaticKey is the same key for all registries.
func ExampleStaticKey() {
	key, err := challenge.StaticKey(newKey())(context.Background(), challenge.Origin{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ssh.FingerprintSHA256(key.PublicKey()))
	// Output: SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo
}

// A program that sends its requests without a Transport tells the Client that a
// server refused a token. Then the Client gets another one.
func ExampleClient_Reject() {
	registry := startRegistry()
	defer registry.Close()

	resp, err := http.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		log.Fatal(err)
	}
	client := &challenge.Client{Key: challenge.StaticKey(newKey())}
	token := func() challenge.Token {
		t, err := client.Token(context.Background(), ch, resp.Request)
		if err != nil {
			log.Fatal(err)
		}
		return t
	}
	first := token()
	fmt.Println("remembered:", token() == first)
	client.Reject(first)
	fmt.Println("remembered:", token() == first)
	// Output:
	// remembered: true
	// remembered: false
}

// A Trace tells each step. Here it prints which key a registry gets.
func ExampleTrace() {
	registry := startRegistry()
	defer registry.Close()

	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{
		Key: challenge.StaticKey(newKey()),
		Trace: &challenge.Trace{
			KeyOpened: func(e challenge.Event) { fmt.Println("key", e.Key) },
			Exchanged: func(e challenge.Event) { fmt.Println("token for", e.Scope, e.Err) },
		},
	}}}
	resp, err := client.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	// Output:
	// key SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo
	// token for repository:library/llama3:pull <nil>
}

// LogTrace writes the steps to a logger: at slog's usual level, only the failures.
func ExampleLogTrace() {
	registry := startRegistry()
	defer registry.Close()

	// The time and the port differ in each run, so they are left out here.
	shorten := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.LevelKey, slog.MessageKey, "scope":
			return a
		}
		return slog.Attr{}
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: shorten}))
	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{
		Key:   func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, signer.ErrLocked },
		Trace: challenge.LogTrace(logger),
	}}}
	_, err := client.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	fmt.Println("locked:", errors.Is(err, signer.ErrLocked))
	// Output:
	// level=WARN msg="key not opened" scope=repository:library/llama3:pull
	// locked: true
}

// A request to Ollama's API carries a signature from the start.
func ExampleSignRequest() {
	req, err := http.NewRequest(http.MethodPost, "https://ollama.com/api/me", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := challenge.SignRequest(context.Background(), newKey(), req); err != nil {
		log.Fatal(err)
	}
	signed := req.Method + "," + req.URL.RequestURI()
	pub, err := challenge.Verify(req.Header.Get("Authorization"), []byte(signed))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ssh.FingerprintSHA256(pub))
	// Output: SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo
}
