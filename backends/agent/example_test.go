package agent_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/signer"
)

// exampleAgent serves an empty agent and returns the path of its socket. A user's
// agent has its path in SSH_AUTH_SOCK.
func exampleAgent() (socket string, stop func()) {
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		log.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	keyring := sshagent.NewKeyring()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = sshagent.ServeAgent(keyring, conn)
			}()
		}
	}()
	return socket, func() {
		l.Close()
		os.RemoveAll(dir)
	}
}

// A program signs with a key that stays in the agent.
func ExampleBackend() {
	socket, stop := exampleAgent()
	defer stop()
	ctx := context.Background()
	keys := &agent.Backend{Socket: socket} // without a Socket, SSH_AUTH_SOCK
	seed := make([]byte, ed25519.SeedSize)
	if err := keys.Import(ctx, "me@laptop", ed25519.NewKeyFromSeed(seed)); err != nil {
		log.Fatal(err)
	}

	key, err := keys.Open(ctx, "me@laptop")
	if err != nil {
		log.Fatal(err)
	}
	signature, err := key.Sign(ctx, []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ssh.FingerprintSHA256(key.PublicKey()), signature.Format)
	// Output:
	// SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo ssh-ed25519
}

// An added key can have a limit in time. Confirm would make the agent ask a person
// before each signature.
func ExampleBackend_Import() {
	socket, stop := exampleAgent()
	defer stop()
	ctx := context.Background()
	keys := &agent.Backend{Socket: socket, Lifetime: 8 * time.Hour}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	fmt.Println(keys.Import(ctx, "today", key))
	fmt.Println(errors.Is(keys.Import(ctx, "again", key), signer.ErrExists))
	// Output:
	// <nil>
	// true
}

// List returns the keys that can be used, with their names for Open.
func ExampleBackend_List() {
	socket, stop := exampleAgent()
	defer stop()
	ctx := context.Background()
	keys := &agent.Backend{Socket: socket}
	for i, comment := range []string{"home", "work"} {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(i)
		if err := keys.Import(ctx, comment, ed25519.NewKeyFromSeed(seed)); err != nil {
			log.Fatal(err)
		}
	}
	infos, err := keys.List(ctx)
	for _, info := range infos {
		fmt.Println(info.Name, info.PublicKey.Type())
	}
	_, several := keys.Open(ctx, "")
	hint, _ := signer.HintOf(several)
	fmt.Println(err, hint.See)
	// Output:
	// home ssh-ed25519
	// work ssh-ed25519
	// <nil> agent#which-key
}
