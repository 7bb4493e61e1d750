package challengetest_test

import (
	"fmt"
	"log"

	"github.com/countersign/countersign/challenge/challengetest"
)

// A registry challenges a request without a token.
func ExampleStart() {
	registry, err := challengetest.Start(challengetest.Config{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	registry.AddImage("library/llama3", "latest", []byte("weights"))

	resp, err := registry.Client().Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	fmt.Println(resp.Header.Get("WWW-Authenticate"))
	fmt.Println(registry.Stats().Challenges, "challenge")
	// Output:
	// 401 Unauthorized
	// Bearer realm="http://127.0.0.1:1/v2/token",service="challengetest",scope="repository:library/llama3:pull"
	// 1 challenge
}

// The token endpoint fails for one request.
func ExampleRegistry_Fail() {
	registry, err := challengetest.Start(challengetest.Config{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	registry.Fail(challengetest.Tokens, 1, challengetest.Reply(503, "", "Retry-After", "2"))

	for range 2 {
		resp, err := registry.Client().Get(registry.Realm())
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// 503 Service Unavailable
	// 401 Unauthorized
}
