// Command demo shows what the gate does. It starts a registry of CNCF distribution and
// a stand-in for an Ollama server behind a gate on loopback, lets clients with and
// without an enrolled key push, pull and chat, and prints what the gate decided and why.
// It leaves nothing behind.
//
//	go run -C gate/demo .
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := show(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
