package main

import (
	"context"
	"crypto/ed25519"
	"net"
	"os"
	"path/filepath"
	"sync"

	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/backends"
)

// makeAgentKey starts an agent in this process and adds a key to it. The user's own
// agent is left alone.
func makeAgentKey(ctx context.Context, keys backends.Set) (string, func(), error) {
	socket, stop, err := serveDemoAgent()
	if err != nil {
		return "", nil, err
	}
	keys.Agent.Socket, keys.Agent.Timeout = socket, demoTimeout
	_, key, err := ed25519.GenerateKey(nil)
	if err == nil {
		err = keys.Agent.Import(ctx, "demo", key)
	}
	if err != nil {
		stop()
		return "", nil, err
	}
	return "agent:demo", stop, nil
}

// serveDemoAgent serves an empty agent on a socket in a new private folder. stop ends
// it and removes the folder.
func serveDemoAgent() (socket string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "countersign-demo-")
	if err != nil {
		return "", nil, err
	}
	socket = filepath.Join(dir, "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	var serving sync.WaitGroup
	keyring := sshagent.NewKeyring()
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_ = sshagent.ServeAgent(keyring, conn) // until the client leaves
			})
		}
	})
	return socket, func() {
		l.Close()
		serving.Wait()
		os.RemoveAll(dir)
	}, nil
}
