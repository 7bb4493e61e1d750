package challenge_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

func TestBodies(t *testing.T) {
	put := func(v *visitor, body io.Reader) error {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, v.URL+manifest, body)
		req.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		resp, err := v.http.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("status %s", resp.Status)
		}
		return nil
	}
	const image = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`
	once := func() io.Reader { return io.NopCloser(strings.NewReader(image)) } // has no GetBody

	v := visit(t, challengetest.Config{})
	if err := put(v, once()); !errors.Is(err, challenge.ErrBody) {
		t.Errorf("a body for once only: %v, want ErrBody", err)
	}
	if n := v.signatures.Load(); n != 0 {
		t.Errorf("%d signatures for nothing", n)
	}
	if err := put(v, once()); err != nil {
		t.Errorf("now that the registry is known to challenge: %v", err)
	}
	v = visit(t, challengetest.Config{})
	if err := put(v, strings.NewReader(image)); err != nil {
		t.Errorf("a body with GetBody: %v", err)
	}
	if body, err := v.get(t.Context(), manifest); body != image {
		t.Errorf("stored %q, %v", body, err)
	}
}

// TestBodyIsSentAgain has a base that reads the body of the first request.
func TestBodyIsSentAgain(t *testing.T) {
	var got []string
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
		if req.URL.Path == "/token" {
			resp.Body = io.NopCloser(strings.NewReader(`{"token":"t"}`))
			return resp, nil
		}
		data, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, string(data))
		if req.Header.Get("Authorization") == "" {
			resp.StatusCode = 401
			resp.Header.Set("WWW-Authenticate", `Bearer realm="https://r.example/token"`)
		}
		return resp, nil
	})
	client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
		HTTP: &http.Client{Transport: base}, Key: challenge.StaticKey(visit(t, challengetest.Config{}).key),
	}}}
	resp, err := client.Post("https://r.example/", "text/plain", strings.NewReader("image"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if diff := cmp.Diff([]string{"image", "image"}, got); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
}

// TestShortBodyOfA401IsRead, so that the connection can be used again.
func TestShortBodyOfA401IsRead(t *testing.T) {
	body := strings.NewReader("sign in first")
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 401, Body: io.NopCloser(body), ContentLength: body.Size(), Request: req,
			Header: http.Header{"Www-Authenticate": {`Bearer realm="https://evil.example/token"`}},
		}, nil
	})
	client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
		Key: challenge.StaticKey(visit(t, challengetest.Config{}).key),
	}}}
	if _, err := client.Get("https://r.example/"); !errors.Is(err, challenge.ErrRealm) {
		t.Errorf("got %v, want ErrRealm", err)
	}
	if body.Len() != 0 {
		t.Errorf("%d bytes of the body are not read", body.Len())
	}
}

// An endless is a body that never ends. Reading far into it is an error of the test.
type endless struct {
	t      *testing.T
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read += len(p); e.read > 16<<20 {
		e.t.Error("an endless body is read to its end")
		return 0, io.EOF
	}
	return len(p), nil
}

func (e *endless) Close() error {
	e.closed = true
	return nil
}

// TestEndlessBodyOfA401 covers a body whose length is not known, and one that is longer
// than its header says.
func TestEndlessBodyOfA401(t *testing.T) {
	key := visit(t, challengetest.Config{}).key
	for _, length := range []int64{-1, 0, 1000, 1 << 40} {
		for _, realm := range []string{"https://r.example/token", "https://evil.example/token"} {
			body := &endless{t: t}
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
				switch {
				case req.URL.Path == "/token":
					resp.Body = io.NopCloser(strings.NewReader(`{"token":"t"}`))
				case req.Header.Get("Authorization") == "":
					resp.StatusCode, resp.Body, resp.ContentLength = 401, body, length
					resp.Header.Set("WWW-Authenticate", `Bearer realm="`+realm+`"`)
				}
				return resp, nil
			})
			client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
				HTTP: &http.Client{Transport: base}, Key: challenge.StaticKey(key),
			}}}
			resp, err := client.Get("https://r.example/")
			if wantErr := strings.Contains(realm, "evil"); wantErr != (err != nil) {
				t.Errorf("length %d, realm %s: error %v", length, realm, err)
			}
			if !body.closed {
				t.Errorf("length %d, realm %s: the body is not closed", length, realm)
			}
			if err == nil {
				resp.Body.Close()
			}
		}
	}
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error {
	c.closed++
	return nil
}
