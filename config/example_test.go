package config_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/config"
)

// A registry that challenges, and a key that the configuration finds.
func setUp() (url string, done func()) {
	registry, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	registry.AddImage("library/llama3", "latest", []byte("weights"))
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if _, err := (&file.Backend{}).Generate(context.Background(), key); err != nil {
		log.Fatal(err)
	}
	os.Setenv("COUNTERSIGN_CONFIG", os.DevNull)
	os.Setenv("COUNTERSIGN_KEY", "file:"+key)
	return registry.URL + "/v2/library/llama3/manifests/latest", func() {
		os.Unsetenv("COUNTERSIGN_CONFIG")
		os.Unsetenv("COUNTERSIGN_KEY")
		registry.Close()
		os.RemoveAll(dir)
	}
}

// An http.Client that answers every registry with the key that is configured
// for it.
func Example() {
	url, done := setUp()
	defer done()

	c, err := config.Load()
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &challenge.Transport{Client: c.Client(c.Backends(), config.Here(""))}}
	resp, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// What would be tried elsewhere: nothing of this machine decides.
func ExampleConfig_Choose() {
	c, err := config.Parse([]byte(`
keys = ["env:OLLAMA_KEY", "keyring:ollama"]

[platform."linux/arm64"]
keys = ["file:/var/lib/countersign/key"]
`), "config.toml")
	if err != nil {
		log.Fatal(err)
	}
	for _, goarch := range []string{"amd64", "arm64"} {
		for _, k := range c.Choose(config.Query{GOOS: "linux", GOARCH: goarch}).Candidates {
			fmt.Printf("linux/%s: %s, from %s\n", goarch, k.Ref, k.Source)
		}
	}
	// Output:
	// linux/amd64: env:OLLAMA_KEY, from config.toml:2
	// linux/amd64: keyring:ollama, from config.toml:2
	// linux/arm64: file:/var/lib/countersign/key, from config.toml:5
}

// Which key is it, and why?
func ExampleChoice_Open() {
	os.Setenv("EXAMPLE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	defer os.Unsetenv("EXAMPLE_KEY")
	c, err := config.Parse([]byte(`keys = ["file:/nonexistent/key", "env:EXAMPLE_KEY"]`), "config.toml")
	if err != nil {
		log.Fatal(err)
	}
	choice := c.Choose(config.Query{GOOS: "linux", GOARCH: "amd64"})
	_, why, err := choice.Open(context.Background(), c.Backends())
	if err != nil {
		log.Fatal(err)
	}
	for _, tried := range why.Tried {
		fmt.Printf("%s: %s\n", tried, tried.Outcome)
	}
	fmt.Println(why.Fingerprint)
	// Output:
	// file:/nonexistent/key, from config.toml:1: passed over
	// env:EXAMPLE_KEY, from config.toml:1: taken
	// SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo
}
