package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const secretToken = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl+/8w=="

// encodings that servers use when they repeat what they were sent.
var echoes = map[string]func(string) string{
	"as it is":           func(s string) string { return s },
	"upper case":         strings.ToUpper,
	"lower case":         strings.ToLower,
	"quoted":             strconv.Quote,
	"quoted to ASCII":    strconv.QuoteToASCII,
	"in JSON":            func(s string) string { b, _ := json.Marshal(s); return string(b) },
	"in JSON twice":      func(s string) string { b, _ := json.Marshal(s); b, _ = json.Marshal(string(b)); return string(b) },
	"every rune escaped": func(s string) string { return eachByte(s, `\u%04x`) },
	"every byte in Go":   func(s string) string { return eachByte(s, `\x%02x`) },
	"in HTML":            html.EscapeString,
	"HTML numbers":       func(s string) string { return eachByte(s, "&#%d;") },
	"HTML hexadecimal":   func(s string) string { return eachByte(s, "&#x%X;") },
	"in a query":         url.QueryEscape,
	"in a path":          url.PathEscape,
	"in a query twice":   func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"every byte percent": func(s string) string { return eachByte(s, "%%%02X") },
	"in base64":          func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"in base64 for URLs": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("x" + s)) },
	"in base64 of more":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("Bearer " + s + "!")) },
	"in hexadecimal":     func(s string) string { return hex.EncodeToString([]byte(s)) },
	"upper hexadecimal":  func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte("x" + s))) },
	"spaced hexadecimal": func(s string) string { return fmt.Sprintf("% x", s) },
	"the first half":     func(s string) string { return s[:len(s)/2] + "..." },
	"the second half":    func(s string) string { return "..." + s[len(s)/2:] },
	"the middle":         func(s string) string { return "'" + s[20:40] + "'" },
	"in lines":           func(s string) string { return s[:10] + "\r\n  " + s[10:20] + "\n" + s[20:] },
	"with spaces":        func(s string) string { return strings.Join(strings.Split(s, ""), " ") },
	"with zero width":    func(s string) string { return strings.Join(strings.Split(s, ""), "\u200b") },
	"in a header":        func(s string) string { return "Authorization: Bearer " + s },
	"in a URL":           func(s string) string { return "https://r.example/?token=" + url.QueryEscape(s) + "&x=y" },
}

func eachByte(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// leak returns a part of secret that is in text, in the encodings that redact knows.
func leak(text, secret string) string {
	found := charsOf(lettersOf(text))
	for _, form := range encodings(secret) {
		for i := 0; i+minPart <= len(form); i++ {
			if strings.Contains(found, form[i:i+minPart]) {
				return form[i : i+minPart]
			}
		}
	}
	return ""
}

func TestText(t *testing.T) {
	for name, echo := range echoes {
		text := "cannot take Bearer " + echo(secretToken) + ": ask the administrator"
		got := Text(text, []string{"another secret", secretToken})
		if part := leak(got, secretToken); part != "" || strings.Contains(got, "c2ln") {
			t.Errorf("%s: %q has %q", name, got, part)
		}
		if !strings.HasPrefix(got, "cannot take Bearer ") || !strings.HasSuffix(got, "ask the administrator") || !strings.Contains(got, removed) {
			t.Errorf("%s: %q is not the rest of the text", name, got)
		}
	}
}

func TestShortSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"cannot take Bearer SECRET...":                      "cannot take Bearer [removed]...",
		`{"token":"secret","scope":"secretary"}`:            `{"token":"[removed]","scope":"secretary"}`,
		"token=SECRET&x=%53ECRET":                           "token=[removed]",
		"token=SECRE%54":                                    "token=[removed]",
		"%SECRET":                                           "%[removed]",
		"SECRET abc SECRET":                                 "[removed]",
		"SECRET abcd SECRET":                                "[removed] abcd [removed]",
		"secrets are not secretive":                         "secrets are not secretive",
		"Bearer " + hex.EncodeToString([]byte("SECRET")):    "Bearer [removed]",
		base64.StdEncoding.EncodeToString([]byte("SECRET")): "[removed]",
		"s e c r e t":                                       "[removed]",
		"s{e|c}r~e\x7ft":                                    "[removed]",
		"s[e/c:r@e`t":                                       "[removed]",
	} {
		if got := Text(text, []string{"SECRET"}); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}

func TestOtherTextStays(t *testing.T) {
	for _, text := range []string{
		"", "unauthorized", "100 % of it", "%", "%2", `\`, `\u00`, `C:\new\users`, "&", "&amp;", "&nosuch;", "\xff\xfe", "a\u202eb", "Ünïcode",
		"unknown key SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo",
	} {
		if got := Text(text, []string{secretToken, "", "+", "t"}); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func FuzzText(f *testing.F) {
	names := slices.Sorted(maps.Keys(echoes))
	f.Add("before ", secretToken, " after", uint8(0))
	f.Add("%", "SECRET-TOKEN-0-SECRET-TOKEN-1-SECRET-TOKEN-2", "&", uint8(3))
	f.Add("\\", "AAAAC3NzaC1lZDI1NTE5AAAAI:XhuOJBFM1Vo8VzauMXtZHZ9T2Z", "\\u00", uint8(7))
	f.Fuzz(func(t *testing.T, before, secret, after string, n uint8) {
		if len(secret) < 40 || len(before)+len(secret)+len(after) > 1000 {
			return
		}
		echo := echoes[names[int(n)%len(names)]]
		got := Text(before+" "+echo(secret)+" "+after, []string{secret})
		if part := leak(strings.ReplaceAll(got, removed, "\x00"), secret); part != "" {
			t.Errorf("%q has %q of %q", got, part, secret)
		}
	})
}

// The end of a secret in base64 is removed, too, whatever its letters are.
func TestEndOfBase64(t *testing.T) {
	for _, encoded := range []string{"QUJDREVGR0hJtant"} {
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if got := Text("it was "+encoded, []string{string(secret)}); strings.Contains(got, "tan") || !strings.Contains(got, removed) {
			t.Errorf("it becomes %q", got)
		}
	}
}
