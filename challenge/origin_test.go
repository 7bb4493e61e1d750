package challenge

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestParseOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://r.example":           "https://r.example",
		"HTTPS://R.example:443/":      "https://r.example",
		"r.example":                   "https://r.example",
		"r.example:8443":              "https://r.example:8443",
		"https://r.example:08443":     "https://r.example:8443",
		"https://r.example:0443":      "https://r.example",
		"https://r.example:":          "https://r.example",
		"http://r.example:80":         "http://r.example",
		"http://r.example:443":        "http://r.example:443",
		"https://r.example:80":        "https://r.example:80",
		"http://127.0.0.1:5000":       "http://127.0.0.1:5000",
		"[2001:0DB8:0:0::1]":          "https://[2001:db8::1]",
		"http://[::1]:5000":           "http://[::1]:5000",
		"https://[::ffff:127.0.0.1]":  "https://[::ffff:127.0.0.1]",
		"https://[fe80::1%25eth0]":    "https://[fe80::1%25eth0]",
		"https://r.example.":          "https://r.example.",
		"https://b\u00fccher.example": "https://b%C3%BCcher.example",
	} {
		o, err := ParseOrigin(text)
		if err != nil || o.String() != want {
			t.Errorf("%q: got %q, %v, want %q", text, o, err, want)
		}
		if again, err := ParseOrigin(o.String()); err != nil || again != o {
			t.Errorf("%q: read again: %q, %v", text, again, err)
		}
		if of, err := OriginOf(o.URL()); err != nil || of != o {
			t.Errorf("%q: of its URL: %q, %v", text, of, err)
		}
	}
}

func TestParseOriginRefuses(t *testing.T) {
	for _, text := range []string{
		"", "https://", "https://:443", "//r.example", "ftp://r.example", "ssh://r.example",
		"https://r.example/v2/", "https://r.example?", "https://r.example?x=1", "https://r.example#", "https://r.example/#f",
		"https://user@r.example", "https://user:secret@r.example", "https://r.example:65536", "https://r.example:x", "https://r.example:-1",
		"https://r.example\\@evil.example", "https://r%2eexample", "https://%e2%80%ae.example", "https://r\u202e.example", "https://r.example ",
		" https://r.example", "https://r .example", "https://r.example\n", "https://[::1", "https://[1:2]", "r.example/?u=https://x",
	} {
		o, err := ParseOrigin(text)
		if err == nil || o != (Origin{}) {
			t.Errorf("%q: got %q, %v, want an error", text, o, err)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "r.example")) {
			t.Errorf("%q: the error repeats it: %v", text, err)
		}
	}
}

func TestOriginOf(t *testing.T) {
	for text, want := range map[string]string{
		"https://User@R.example:443/v2/?x#f": "https://r.example",
		"http://LOCALHOST/":                  "http://localhost",
		"https://r.example:99999/":           "",
		"file:///etc/passwd":                 "",
		"https:///":                          "",
		"/v2/":                               "",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := OriginOf(u); o.String() != want || (want == "") != (err != nil) {
			t.Errorf("%s: got %q, %v, want %q", text, o, err, want)
		}
	}
	for _, u := range []url.URL{{Scheme: "https", Host: "[1:2]"}, {Scheme: "https", Host: "[::1:443"}, {Scheme: "https"}, {Host: "r.example"}} {
		if o, err := OriginOf(&u); err == nil || o != (Origin{}) {
			t.Errorf("%+v: got %q, %v, want an error", u, o, err)
		}
	}
	if o, err := OriginOf(&url.URL{Scheme: "HTTPS", Host: "A-Z.example"}); err != nil || o.String() != "https://a-z.example" {
		t.Errorf("got %q, %v", o, err)
	}
	// Two hosts that are not UTF-8 are two hosts.
	one, _ := OriginOf(&url.URL{Scheme: "https", Host: "A\xff"})
	two, _ := OriginOf(&url.URL{Scheme: "https", Host: "A\xfe"})
	if one == two {
		t.Errorf("%q and %q are equal", one.host, two.host)
	}
}

func TestOriginAsJSON(t *testing.T) {
	got, err := json.Marshal(RealmPair{Registry: mustOrigin(t, "r.example"), Realm: mustOrigin(t, "login.example:8443")})
	const want = `{"registry":"https://r.example","realm":"https://login.example:8443"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func FuzzParseOrigin(f *testing.F) {
	for _, text := range []string{"https://r.example:443/", "[::1]:5000", "http://A.\u212a", "https://[fe80::1%25eth0]", "https://a%ff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOrigin(text)
		if err != nil {
			if o != (Origin{}) {
				t.Errorf("%q: an origin beside the error %v", text, err)
			}
			return
		}
		if o.scheme != "http" && o.scheme != "https" || o.host == "" || o.port == "" {
			t.Errorf("%q: incomplete: %+v", text, o)
		}
		if again, err := ParseOrigin(o.String()); err != nil || again != o {
			t.Errorf("%q: %+v, read again: %+v, %v", text, o, again, err)
		}
		if of, err := OriginOf(o.URL()); err != nil || of != o {
			t.Errorf("%q: %+v, of its URL: %+v, %v", text, o, of, err)
		}
	})
}
