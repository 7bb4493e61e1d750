package signin_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signin"
)

// The first run of an app: it makes a key, shows the sign-in page and waits until the
// server accepts the key.
func ExampleClient() {
	server, err := challengetest.Start(challengetest.Config{SignIn: true}) // instead of https://ollama.com
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	client, err := signin.New(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	client.Key = "file:" + filepath.Join(dir, "id_ed25519") // a desktop app names "keyring:..." or nothing
	key, err := client.EnsureKey(ctx)
	if err != nil {
		log.Fatal(err)
	}
	page, err := client.Page(key)
	if err != nil {
		log.Fatal(err)
	}
	account, err := client.Wait(ctx, key, func(p signin.Progress) {
		fmt.Println("Waiting:", errors.Is(p.Err, signin.ErrNotConnected))
		pressButton(page) // a person does it in a browser
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("Connected as", account.Name)
	// Output:
	// Waiting: true
	// Connected as challengetest
}

func pressButton(page string) {
	resp, err := http.PostForm(page, url.Values{})
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
}
