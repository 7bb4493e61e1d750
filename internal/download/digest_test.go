package download_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/download"
)

var hex64 = strings.Repeat("0a", 32)

func TestParseDigest(t *testing.T) {
	for _, s := range []string{"sha256:" + hex64, "sha384:" + strings.Repeat("0a", 48), "sha512:" + hex64 + hex64} {
		if d, err := download.ParseDigest(s); err != nil || d.String() != s {
			t.Errorf("%s: got %s, %v", s, d, err)
		}
	}
	for _, s := range []string{
		"", ":", "sha256", "sha256:", "sha256:0a", "sha256:" + hex64 + "0a", "sha256:" + strings.ToUpper(hex64),
		"sha256:" + strings.Repeat("0g", 32), "SHA256:" + hex64, "md5:" + hex64[:32], hex64, " sha256:" + hex64,
	} {
		if d, err := download.ParseDigest(s); err == nil {
			t.Errorf("%q: got %s, want an error", s, d)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:" + hex64)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := download.ParseDigest(s); err == nil && d.String() != s {
			t.Errorf("%q became %q", s, d)
		}
	})
}

func TestDigestOfURL(t *testing.T) {
	digest := "sha256:" + hex64
	for path, want := range map[string]string{
		"/v2/library/llama3/blobs/" + digest:     digest,
		"/v2/library/llama3/manifests/" + digest: digest,
		"/v2/library/llama3/manifests/latest":    ":",
		"/v2/" + digest + "/manifests/latest":    ":",
		"/v2/x/blobs/sha256%3A" + hex64:          digest,
		"":                                       ":",
	} {
		u, err := url.Parse("https://registry.example.com" + path)
		if err != nil {
			t.Fatal(err)
		}
		if got := download.DigestOfURL(u).String(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
