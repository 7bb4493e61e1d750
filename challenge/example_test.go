package challenge_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log"
	"net/http"

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
