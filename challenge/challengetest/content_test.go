package challengetest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

const pushPull = "repository:library/llama3:pull,push"

func TestPull(t *testing.T) {
	r := start(t, challengetest.Config{})
	layers := r.AddImage("library/llama3", "latest", []byte("first layer"), []byte("second"))
	repo, bearer := r.URL+"/v2/library/llama3/", token(t, r, pull)

	got := get(t, r, repo+"manifests/latest", bearer)
	var image struct {
		MediaType string
		Layers    []struct{ Digest string }
	}
	if err := json.Unmarshal([]byte(got.body), &image); err != nil {
		t.Fatal(err)
	}
	if image.MediaType != got.header.Get("Content-Type") || len(image.Layers) != 2 || image.Layers[1].Digest != layers[1] {
		t.Errorf("manifest %s, header %v", got.body, got.header)
	}
	digest := got.header.Get("Docker-Content-Digest")
	if digest != digestOf(got.body) {
		t.Errorf("digest %s", digest)
	}
	get(t, r, repo+"manifests/"+digest, bearer).want(t, http.StatusOK, got.body)
	get(t, r, repo+"blobs/"+layers[0], bearer).want(t, http.StatusOK, "first layer")

	head := send(t, r, http.MethodHead, repo+"blobs/"+layers[0], bearer, "")
	if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != "11" {
		t.Errorf("HEAD: %+v", head)
	}
	req := request(t, http.MethodGet, repo+"blobs/"+layers[0], "")
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Range", "bytes=6-")
	do(t, r, req).want(t, http.StatusPartialContent, "layer")
}

func TestAbsent(t *testing.T) {
	r := start(t, challengetest.Config{})
	r.AddImage("library/llama3", "latest")
	bearer := token(t, r, pushPull+" repository:none:pull,push")
	tests := map[string]struct {
		method, path string
		status       int
		code         string
	}{
		"tag":        {"GET", "library/llama3/manifests/none", 404, "MANIFEST_UNKNOWN"},
		"blob":       {"GET", "library/llama3/blobs/sha256:00", 404, "BLOB_UNKNOWN"},
		"name":       {"GET", "none/manifests/latest", 404, "NAME_UNKNOWN"},
		"no name":    {"GET", "manifests/latest", 404, "NAME_INVALID"},
		"injection":  {"GET", `a",x="/manifests/latest`, 404, "NAME_INVALID"},
		"upload":     {"PUT", "library/llama3/blobs/uploads/none", 404, "BLOB_UPLOAD_UNKNOWN"},
		"upload GET": {"GET", "library/llama3/blobs/uploads/none", 405, "UNSUPPORTED"},
		"no repo":    {"PATCH", "none/blobs/uploads/none", 404, "NAME_UNKNOWN"},
		"delete":     {"DELETE", "library/llama3/manifests/latest", 405, "UNSUPPORTED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := send(t, r, tt.method, r.URL+"/v2/"+tt.path, bearer, "")
			got.want(t, tt.status, `,"errors":[{"code":"`+tt.code+`","message":"`)
		})
	}
}

func TestPush(t *testing.T) {
	r := start(t, challengetest.Config{})
	repo, bearer := r.URL+"/v2/library/llama3/", token(t, r, pushPull)
	uploads := repo + "blobs/uploads/"
	digest := "?digest=" + digestOf("hello, world")

	ways := map[string]func(t *testing.T) reply{
		"POST alone": func(t *testing.T) reply {
			return send(t, r, http.MethodPost, uploads+digest, bearer, "hello, world")
		},
		"POST with digest, PUT": func(t *testing.T) reply {
			at := send(t, r, http.MethodPost, uploads+digest, bearer, "").header.Get("Location")
			return send(t, r, http.MethodPut, at+digest, bearer, "hello, world")
		},
		"POST, PUT": func(t *testing.T) reply {
			at := send(t, r, http.MethodPost, uploads, bearer, "").header.Get("Location")
			return send(t, r, http.MethodPut, at+digest, bearer, "hello, world")
		},
		"POST, PATCH, PATCH, PUT": func(t *testing.T) reply {
			at := send(t, r, http.MethodPost, uploads, bearer, "").header.Get("Location")
			send(t, r, http.MethodPatch, at, bearer, "hello,").want(t, http.StatusAccepted, "")
			if got := send(t, r, http.MethodPatch, at, bearer, " world"); got.header.Get("Range") != "0-11" {
				t.Errorf("header %v", got.header)
			}
			return send(t, r, http.MethodPut, at+digest, bearer, "")
		},
	}
	for name, push := range ways {
		t.Run(name, func(t *testing.T) {
			got := push(t)
			got.want(t, http.StatusCreated, "")
			get(t, r, got.header.Get("Location"), bearer).want(t, http.StatusOK, "hello, world")
		})
	}
	t.Run("empty", func(t *testing.T) {
		send(t, r, http.MethodPost, uploads+"?digest="+digestOf(""), bearer, "").want(t, http.StatusCreated, "")
	})
	t.Run("other digest", func(t *testing.T) {
		send(t, r, http.MethodPost, uploads+digest, bearer, "hello").want(t, http.StatusBadRequest, "DIGEST_INVALID")
		send(t, r, http.MethodPut, repo+"manifests/"+digestOf("x"), bearer, "{}").want(t, http.StatusBadRequest, "DIGEST_INVALID")
	})
	t.Run("manifest", func(t *testing.T) {
		req := request(t, http.MethodPut, repo+"manifests/new", "{}")
		req.Header.Set("Authorization", "Bearer "+bearer)
		req.Header.Set("Content-Type", "application/x-test")
		at := do(t, r, req).header.Get("Location")
		for _, url := range []string{repo + "manifests/new", at} {
			got := get(t, r, url, bearer)
			got.want(t, http.StatusOK, "{}")
			if got.header.Get("Content-Type") != "application/x-test" {
				t.Errorf("header %v", got.header)
			}
		}
	})
}

// TestLocations wants absolute ones, because Ollama resolves no relative one.
func TestLocations(t *testing.T) {
	for _, https := range []bool{false, true} {
		r := start(t, challengetest.Config{TLS: https})
		bearer := token(t, r, pushPull)
		repo := r.URL + "/v2/library/llama3/"
		for name, got := range map[string]reply{
			"upload":   send(t, r, http.MethodPost, repo+"blobs/uploads/", bearer, ""),
			"blob":     send(t, r, http.MethodPost, repo+"blobs/uploads/?digest="+digestOf("x"), bearer, "x"),
			"manifest": send(t, r, http.MethodPut, repo+"manifests/new", bearer, "{}"),
		} {
			if at := got.header.Get("Location"); !strings.HasPrefix(at, repo) {
				t.Errorf("%s: %d, Location %q; want one under %s", name, got.status, at, repo)
			}
		}
	}
}

func TestCDN(t *testing.T) {
	r := start(t, challengetest.Config{CDN: true})
	digest := r.AddImage("library/llama3", "latest", []byte("layer"))[0]
	bearer := token(t, r, pull)

	got := get(t, r, r.URL+"/v2/library/llama3/blobs/"+digest, bearer)
	got.want(t, http.StatusTemporaryRedirect, "")
	at := got.header.Get("Location")
	// Ollama compares the names of the hosts without their ports.
	if to, err := url.Parse(at); err != nil || to.Hostname() != "localhost" {
		t.Fatalf("redirected to %q, want another host name than that of %s", at, r.URL)
	}
	get(t, r, at, "").want(t, http.StatusOK, "layer")
	get(t, r, at, bearer).want(t, http.StatusBadRequest, "no Authorization")
	if got := r.Last(challengetest.CDN).Header.Get("Authorization"); got == "" {
		t.Error("the token that went astray was not seen")
	}
	get(t, r, strings.Replace(at, "blobs", "manifests", 1), "").want(t, http.StatusNotFound, "only blobs")
}

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}
