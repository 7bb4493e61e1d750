package env_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/signer"
)

// The seed of RFC 8032's first test key, as somebody could paste it.
const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

func Example() {
	os.Setenv("OLLAMA_KEY", seed)
	defer os.Unsetenv("OLLAMA_KEY")

	keys := signer.Mux{"env": &env.Backend{}}
	key, err := keys.Open(context.Background(), "env:OLLAMA_KEY")
	if err != nil {
		fmt.Println(err)
		return
	}
	sig, err := key.Sign(context.Background(), []byte("message"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key, sig.Format, ssh.FingerprintSHA256(key.PublicKey()))
	// Output: env:OLLAMA_KEY ssh-ed25519 SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8
}

// Child processes do not inherit a key that was unset, and the backend can
// open it again.
func ExampleBackend_unset() {
	os.Setenv("OLLAMA_KEY", seed)

	b := &env.Backend{Unset: true}
	for range 2 {
		_, err := b.Open(context.Background(), "OLLAMA_KEY")
		_, isSet := os.LookupEnv("OLLAMA_KEY")
		fmt.Println("error:", err, "still set:", isSet)
	}
	// Output:
	// error: <nil> still set: false
	// error: <nil> still set: false
}

// A variable that is set to nothing is as good as absent: a search goes on.
func ExampleBackend_Open() {
	b := &env.Backend{}
	_, err := b.Open(context.Background(), "OLLAMA_KEY")
	fmt.Println(errors.Is(err, signer.ErrNotFound))

	os.Setenv("OLLAMA_KEY", "")
	defer os.Unsetenv("OLLAMA_KEY")
	_, err = b.Open(context.Background(), "OLLAMA_KEY")
	fmt.Println(errors.Is(err, signer.ErrNotFound), err)
	// Output:
	// true
	// true key not found: set but empty: OLLAMA_KEY
}
