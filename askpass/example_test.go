package askpass_test

import (
	"context"
	"fmt"

	"github.com/countersign/countersign/askpass"
	"github.com/countersign/countersign/backends/file"
)

// An app without windows of its own unlocks key files with a passphrase.
func ExampleFind() {
	keys := &file.Backend{Passphrase: askpass.Find(false)}
	if keys.Passphrase == nil {
		fmt.Println("Set SSH_ASKPASS, or install pinentry, to unlock keys that have a passphrase.")
	}
}

// A program asks before it uses a key.
func ExampleFindConfirm() {
	confirm := askpass.FindConfirm(false)
	if confirm == nil {
		fmt.Println("Set SSH_ASKPASS to a program that asks.")
		return
	}
	if err := confirm(context.Background(), "Sign the release?"); err != nil {
		fmt.Println(err)
	}
}
