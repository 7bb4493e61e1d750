package challenge

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/printable"
)

func TestServerText(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"nothing", 401, "", ""},
		{"Ollama", 401, `{"error":"unauthorized"}`, "unauthorized"},
		{"OAuth", 400, `{"error":"invalid_scope","error_description":"no such scope"}`, "no such scope"},
		{"OCI", 403, `{"errors":[{"code":"DENIED","message":"access denied","detail":[{"Type":"repository"}]}]}`, "access denied"},
		{"OCI, two errors", 403, `{"errors":[{"code":"DENIED","message":"a"},{"code":"UNKNOWN"},{"message":"a"}]}`, "a UNKNOWN"},
		{"OCI, detail is a text", 403, `{"errors":[{"code":"DENIED","message":"access denied","detail":"quota of 5 GB"}]}`, "access denied quota of 5 GB"},
		{"message and error", 403, `{"error":"Forbidden","message":"the key has expired","status":403}`, "the key has expired"},
		{"detail alone", 401, `{"detail":"Incorrect authentication credentials"}`, "Incorrect authentication credentials"},
		{"details alone", 401, `{"details":"unknown key"}`, "unknown key"},
		{"details as an object", 401, `{"message":"no","details":{"reason":"unknown key"}}`, "no unknown key"},
		{"details as a list", 401, `{"message":"no","details":["unknown key",{"message":"ask ops"}]}`, "no unknown key ask ops"},
		{"reason", 401, `{"ok":false,"reason":"unknown key"}`, "unknown key"},
		{"msg", 401, `{"code":401,"msg":"unknown key"}`, "unknown key"},
		{"nested error", 401, `{"error":{"code":401,"message":"unknown key","status":"UNAUTHENTICATED"}}`, "unknown key"},
		{"error is true", 401, `{"error":true,"message":"unknown key"}`, "unknown key"},
		{"names in upper case", 401, `{"Message":"unknown key"}`, "unknown key"},
		{"errors as strings", 401, `{"errors":["unknown key","no scope"]}`, "unknown key no scope"},
		{"errors as a string", 401, `{"errors":"unknown key"}`, "unknown key"},
		{"errors as an object", 401, `{"errors":{"message":"unknown key"}}`, "unknown key"},
		{"errors by field", 422, `{"message":"invalid","errors":{"scope":["is not allowed"],"key":["is unknown"]}}`, "invalid key: is unknown scope: is not allowed"},
		{"errors are empty", 401, `{"errors":[],"message":"unknown key"}`, "unknown key"},
		{"problem details", 403, `{"type":"about:blank","title":"Forbidden","status":403,"detail":"unknown key"}`, "Forbidden unknown key"},
		{"a list", 401, `[{"message":"unknown key"}]`, "unknown key"},
		{"a JSON string", 401, `"unknown key"`, "unknown key"},
		{"a byte order mark", 401, "\ufeff" + `{"error":"unknown key"}`, "unknown key"},
		{"too deep", 401, strings.Repeat(`{"error":`, 9) + `"x"` + strings.Repeat("}", 9), ""},
		{"no message", 401, `{"token":"secret","access_token":"secret"}`, ""},
		{"a number", 401, `42`, ""},
		{"plain text", 502, "upstream is down\n", "upstream is down"},
		{"plain text of a redirect", 302, "found", ""},
		{"a bare token", 200, "eyJhbGciOiJFZERTQSJ9.e30.c2ln", ""},
		{"a bare token in JSON", 200, `"eyJhbGciOiJFZERTQSJ9.e30.c2ln"`, ""},
		{"a message in a success", 200, `{"error":"unknown key"}`, "unknown key"},
		{"a page in a success", 200, "<html><title>Log in</title></html>", "Log in"},
		{"bytes", 500, "\x1f\x8b\x08\xff\xfe", ""},
		{"HTML", 403, "<!DOCTYPE html>\n<html>\n<head><TITLE lang=en>Just a\n moment &amp; more</TITLE></head>secret</html>", "Just a moment & more"},
		{"HTML without a title", 403, "<html><body>no</body></html>", ""},
		{"HTML, cut short", 403, "<html><title>no", ""},
		{"HTML, wrong way round", 403, "<html></title><title", ""},
		{"S3", 403, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`, "Access Denied"},
		{"control characters", 403, `{"error":"\u001b[31mno\u0007"}`, `\x1b[31mno\a`},
		{"long", 403, strings.Repeat("a", 1000), strings.Repeat("a", 500) + "..."},
	} {
		resp := &http.Response{StatusCode: tt.status, Body: io.NopCloser(strings.NewReader(tt.body))}
		if got := ServerText(resp); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzServerText(f *testing.F) {
	f.Add(401, []byte(`{"errors":[{"message":"a","detail":{"reason":"b"}}]}`))
	f.Add(403, []byte("<html><title>a</title></html>"))
	f.Add(500, []byte("\x1b[2J"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		got := serverText(status, body)
		if got != printable.Text(got) {
			t.Errorf("not printable: %q", got)
		}
		if status < 400 && got != "" && !bytes.ContainsAny(body, "{<") {
			t.Errorf("plain text of a status %d: %q", status, got)
		}
	})
}
