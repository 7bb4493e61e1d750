// Command desktop is an app with a window: it connects the key of this machine with an
// account, and pulls models from two registries with two keys. Copy it as the start of an
// app of your own.
//
//	go run . https://ollama.com
//	go run . https://ollama.com https://registry.example.com
//
// The first server gets the key that other programs use too. Each other server gets a key
// of the app's own, named after its host.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"

	"github.com/countersign/countersign/examples/desktop/window"
	"github.com/countersign/countersign/signin"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "desktop:", err)
		os.Exit(1)
	}
}

func run(servers []string) error {
	if len(servers) == 0 {
		servers = []string{"https://ollama.com"}
	}
	w, err := newWindow(app.NewWithID("countersign.example"), servers)
	if err != nil {
		return err
	}
	w.Run()
	return nil
}

func newWindow(a fyne.App, servers []string) (*window.Window, error) {
	data, err := os.UserConfigDir()
	if err != nil {
		return nil, err
	}
	data = filepath.Join(data, "countersign-example")
	w := window.New(a, data)
	for i, server := range servers {
		client, err := signin.New(server)
		if err != nil {
			return nil, err
		}
		client.StateDir = data
		if i > 0 {
			client.Key = "keyring:countersign-example-" + client.Server.URL().Hostname()
		}
		w.Add(client)
	}
	return w, nil
}
