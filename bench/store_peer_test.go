package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/internal/plugintest"
	"github.com/countersign/countersign/internal/pluginwire"
)

// A peer does the same work with the same key in the same store, without countersign:
// open gets the key, or its public half, and sign signs the message.
type peer struct {
	name       string
	open, sign func() error
}

// inMemory reads a key from its store, decodes it, and signs in this process.
func inMemory(name string, private ed25519.PrivateKey, read func() ([]byte, error)) peer {
	open := func() error {
		text, err := read()
		if err != nil {
			return err
		}
		_, err = ssh.ParsePrivateKey(text)
		return err
	}
	return peer{name, open, func() error { ed25519.Sign(private, message); return nil }}
}

// readSecretService reads the key "bench" with libsecret's program, which starts for each
// call.
func readSecretService() ([]byte, error) {
	out, err := exec.Command("secret-tool", "lookup", "profile", "countersign:bench").Output()
	if err != nil {
		return nil, err
	}
	var item struct{ Data []byte }
	err = json.Unmarshal(out, &item)
	return item.Data, err
}

// agentClient is the client of x/crypto on one connection that stays open.
func agentClient(t *testing.T, socket string, key ssh.PublicKey) peer {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := sshagent.NewClient(conn)
	return peer{
		"x/crypto/ssh/agent, on one connection",
		func() error { _, err := client.List(); return err },
		func() error { _, err := client.Sign(key, message); return err },
	}
}

// pluginProcess starts the plugin for each call and reads its reply.
func pluginProcess(t *testing.T, path, key string) peer {
	call := func(op string, payload []byte) error {
		request, err := json.Marshal(pluginwire.Request{
			Version: pluginwire.Version, ID: "0123456789abcdef0123456789abcdef", Op: op, Key: key, Payload: payload, Deadline: time.Now().Add(time.Minute),
		})
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(t.Context(), path)
		cmd.Stdin = bytes.NewReader(request)
		out, err := cmd.Output()
		if err != nil {
			return err
		}
		var reply pluginwire.Reply
		if err := json.Unmarshal(out, &reply); err != nil || reply.Result == nil {
			return fmt.Errorf("the plugin answered %q, %w", out, err)
		}
		return nil
	}
	return peer{
		"the plugin, started with os/exec",
		func() error { return call(pluginwire.Public, nil) },
		func() error { return call(pluginwire.Sign, message) },
	}
}

// pkcs11Tool is OpenSC's program, which also starts for each call.
func pkcs11Tool(t *testing.T) peer {
	t.Setenv("BENCH_PIN", plugintest.PIN)
	out := filepath.Join(t.TempDir(), "out")
	run := func(args ...string) error {
		args = append(args, "--module", plugintest.SoftHSM, "--token-label", "t1", "--label", "key", "--output-file", out)
		cmd := exec.CommandContext(t.Context(), "pkcs11-tool", args...)
		cmd.Stdin = bytes.NewReader(message)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}
	return peer{
		"pkcs11-tool",
		func() error { return run("--read-object", "--type", "pubkey") },
		func() error { return run("--sign", "--mechanism", "EDDSA", "--login", "--pin", "env:BENCH_PIN") },
	}
}

// vaultClient sends the requests of Vault's documentation, on a connection that stays
// open, and looks at the status only.
func vaultClient(address, token string) peer {
	client := &http.Client{}
	call := func(method, path string, body []byte) error {
		req, err := http.NewRequestWithContext(context.Background(), method, address+"/v1/transit/"+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("X-Vault-Token", token)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusOK {
			err = errors.Join(err, errors.New(resp.Status))
		}
		return err
	}
	return peer{
		"http.Client",
		func() error { return call(http.MethodGet, "keys/bench", nil) },
		func() error {
			body := fmt.Appendf(nil, `{"input":%q}`, base64.StdEncoding.EncodeToString(message))
			return call(http.MethodPost, "sign/bench", body)
		},
	}
}
