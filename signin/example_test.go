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
	"github.com/countersign/countersign/signer"
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

// A window shows the state of the key and of its account, now and after each change.
func ExampleClient_Watch() {
	client, err := signin.New("https://ollama.com")
	if err != nil {
		log.Fatal(err)
	}
	client.Key, client.StateDir = "file:/nonexistent/id_ed25519", ""
	ctx, stop := context.WithCancel(context.Background())
	client.Watch(ctx, func(s signin.State) {
		switch {
		case errors.Is(s.Err, signer.ErrNotFound):
			fmt.Println("No key yet")
		case s.Err != nil:
			fmt.Println("The key cannot be used:", s.Err)
		case s.Locked:
			fmt.Println("Locked:", s.Ref)
		case s.IsConnected():
			fmt.Println("Connected as", s.Account.Name)
		}
		stop()
	})
	// Output: No key yet
}
