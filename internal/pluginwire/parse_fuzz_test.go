package pluginwire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/pluginwire"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

const id = "00112233445566778899aabbccddeeff"

// FuzzParseReply holds that an accepted reply is one object with one member of each
// name, and that a refusal is safe to print.
func FuzzParseReply(f *testing.F) {
	for _, seed := range []string{
		`{"v":1,"id":"` + id + `","result":{"public_key":"ssh-ed25519 AAAA","signature":"AAAA"}}`,
		`{"v":1,"id":"` + id + `","result":{"keys":[{"key":"a","comment":"\u001b[31m"}]}}`,
		`{"v":1,"id":"` + id + `","error":{"code":"not_found","message":"no","do":"make one"}} `,
		`{"v":1,"id":"` + id + `","error":{"code":"x"},"result":{}}`,
		`{"v":1,"v":1}`, `{"v":1e999}`, `{"ID":""}`, `{"a":[{"b":{},"b":{}}]}`, `{}{}`, `[`, "", "\x00", `{"v":`, "{\"\xff\":1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := pluginwire.ParseReply(data, id)
		if err != nil {
			if !printable.IsSafe(err.Error()) {
				t.Errorf("the error %q is not printable", err)
			}
			return
		}
		if r.ID != id || r.Version != 1 || (r.Result == nil) == (r.Error == nil) {
			t.Errorf("accepted %+v", r)
		}
		if n := strings.Count(string(data), `"id"`); n == 1 { // the name is written without escapes
			if changed, err := pluginwire.ParseReply([]byte(strings.Replace(string(data), `"id"`, `"id":"x","\u0069d"`, 1)), id); err == nil {
				t.Errorf("accepted a second id: %+v", changed)
			}
		}
		if _, err := pluginwire.ParseReply(append(data, '{'), id); err == nil {
			t.Error("accepted a byte after the object")
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		same, err := pluginwire.ParseReply(again, id)
		if diff := cmp.Diff(r, same); err != nil || diff != "" {
			t.Errorf("%v; the reply that was written again differs (-first +second):\n%s", err, diff)
		}
	})
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ in, text, do string }{
		{`{"code":"not_found","message":"no key x"}`, "key not found: no key x", ""},
		{`{"code":"not_found","message":"key not found: no key x"}`, "key not found: no key x", ""},
		{`{"code":"locked","message":""}`, "key is locked", ""},
		{`{"code":"internal","message":""}`, "the plugin failed without a reason", ""},
		{`{"code":"nosuch","message":"a\u001b[2Jb\n","do":"press\u0007 a\nkey"}`, `a\x1b[2Jb`, `press\a a key`},
	} {
		var e pluginwire.Error
		if err := json.Unmarshal([]byte(tt.in), &e); err != nil {
			t.Fatal(err)
		}
		err := e.Err()
		if err.Error() != tt.text || !printable.IsSafe(err.Error()) {
			t.Errorf("%s: %q, want %q", tt.in, err, tt.text)
		}
		if hint, _ := signer.HintOf(err); hint.Do != tt.do {
			t.Errorf("%s: the hint is %q, want %q", tt.in, hint.Do, tt.do)
		}
	}
}

// Each error of package signer that a plugin may return comes back as the same kind,
// except two that have no code.
func TestErrorKinds(t *testing.T) {
	for err, want := range map[error]error{
		signer.ErrNotFound:    signer.ErrNotFound,
		signer.ErrExists:      signer.ErrExists,
		signer.ErrLocked:      signer.ErrLocked,
		signer.ErrDenied:      signer.ErrDenied,
		signer.ErrUnavailable: signer.ErrUnavailable,
		signer.ErrUnsupported: signer.ErrUnsupported,
		signer.ErrInsecure:    signer.ErrDenied,
		signer.ErrName:        signer.ErrUnsupported,
	} {
		if got := pluginwire.NewError(err).Err(); !errors.Is(got, want) {
			t.Errorf("%v came back as %v, want %v", err, got, want)
		}
	}
}

func TestRequestPrintsNoPassphrase(t *testing.T) {
	r := pluginwire.Request{Passphrase: func() []byte { return []byte("0123456789") }}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, r); strings.Contains(text, "0123456789") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
