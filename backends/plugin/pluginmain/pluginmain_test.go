package pluginmain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/plugin/pluginmain"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

const head = `{"v":1,"id":"00112233445566778899aabbccddeeff"`

// serve returns the reply to a request with these members.
func serve(t *testing.T, b signer.Backend, members string) string {
	t.Helper()
	var out bytes.Buffer
	if err := pluginmain.Serve(t.Context(), "test", b, strings.NewReader(head+members+"}"), &out); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(out.String(), head+","))
}

func TestServe(t *testing.T) {
	opens := struct{ signer.Backend }{new(signertest.Memory)}
	for members, want := range map[string]string{
		`,"op":"list"`:                   `"error":{"code":"unsupported","message":"not supported: this plugin answers describe, public, sign"}}`,
		`,"op":"generate","key":"a"`:     `"error":{"code":"unsupported","message":"not supported: this plugin answers describe, public, sign"}}`,
		`,"op":"delete","key":"a"`:       `"error":{"code":"unsupported","message":"not supported: this plugin answers describe, public, sign"}}`,
		`,"op":"later"`:                  `"error":{"code":"unsupported","message":"not supported: this plugin answers describe, public, sign"}}`,
		`,"op":"public","key":"a"`:       `"error":{"code":"not_found","message":"key not found: \"a\" in memory"}}`,
		`,"op":"sign","key":"a","new":1`: `"error":{"code":"not_found","message":"key not found: \"a\" in memory"}}`,
		`,"op":"public","key":""`:        `"error":{"code":"unsupported","message":"malformed key name: it is empty"}}`,
		`,"op":"describe"`:               `"result":{"name":"test","ops":["describe","public","sign"]}}`,
		`,"op":"public","key":"a","deadline":"2001-02-03T04:05:06Z"`: `"error":{"code":"internal","message":"context deadline exceeded"}}`,
	} {
		if diff := cmp.Diff(want, serve(t, opens, members)); diff != "" {
			t.Errorf("%s: the reply differs (-want +got):\n%s", members, diff)
		}
	}
	for _, request := range []string{"", "hello", "{}", head, head + `,"v":1}`, strings.Replace(head, "1", "2", 1) + "}"} {
		var out bytes.Buffer
		if err := pluginmain.Serve(t.Context(), "test", opens, strings.NewReader(request), &out); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, and %q on stdout", request, err, &out)
		}
	}
}

// The signature is made with the algorithm of the request.
func TestServeAlgorithm(t *testing.T) {
	m := new(signertest.Memory)
	key, err := m.Generate(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Result struct{ Signature []byte }
	}
	text := "{" + serve(t, m, `,"op":"sign","key":"a","payload":"bWVzc2FnZQ=="`)
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if err := key.PublicKey().Verify([]byte("message"), &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: got.Result.Signature}); err != nil {
		t.Error(err)
	}
	const want = `"error":{"code":"unsupported","message":"not supported: signature algorithm \"rsa-sha2-256\", only [\"ssh-ed25519\"]"}}`
	if diff := cmp.Diff(want, serve(t, m, `,"op":"sign","key":"a","payload":"","algorithm":"rsa-sha2-256"`)); diff != "" {
		t.Errorf("the reply differs (-want +got):\n%s", diff)
	}
}

func TestPassphrase(t *testing.T) {
	asks := signer.OpenFunc(func(ctx context.Context, _ string) (signer.Signer, error) {
		pin, err := pluginmain.Passphrase(ctx, "the PIN of a token")
		if err != nil {
			return nil, err
		}
		return nil, errors.New("got " + string(pin))
	})
	for members, want := range map[string]string{
		`,"op":"public"`:                         `"error":{"code":"locked","message":"key is locked: it needs the PIN of a token","prompt":"the PIN of a token"}}`,
		`,"op":"public","passphrase":null`:       `"error":{"code":"locked","message":"key is locked: it needs the PIN of a token","prompt":"the PIN of a token"}}`,
		`,"op":"public","passphrase":"MTIzNA=="`: `"error":{"code":"internal","message":"got 1234"}}`,
		`,"op":"public","passphrase":""`:         `"error":{"code":"internal","message":"got "}}`,
	} {
		if diff := cmp.Diff(want, serve(t, asks, members)); diff != "" {
			t.Errorf("%s: the reply differs (-want +got):\n%s", members, diff)
		}
	}
}
