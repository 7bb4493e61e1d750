package download_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/download"
)

const content = "the content of a blob, which comes in two parts"

var modified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A server sends content and records the Range of each request.
type server struct {
	content  string
	modified time.Time
	cut      int // the number of bytes after which the next reply breaks off, or 0
	header   http.Header
	ranges   []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.ranges = append(s.ranges, req.Header.Get("Range"))
	for name, values := range s.header {
		w.Header()[name] = values
	}
	if s.cut == 0 {
		http.ServeContent(w, req, "", s.modified, strings.NewReader(s.content))
		return
	}
	if !s.modified.IsZero() {
		w.Header().Set("Last-Modified", s.modified.Format(http.TimeFormat))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(s.content)))
	io.WriteString(w, s.content[:s.cut])
	s.cut = 0
}

// start returns a Download from s.
func (s *server) start(t *testing.T) *download.Download {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return &download.Download{Request: func(ctx context.Context, header http.Header) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL, nil)
		if err != nil {
			return nil, err
		}
		req.Header = header
		return http.DefaultClient.Do(req)
	}}
}

func digestOf(t *testing.T, text string) download.Digest {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	d, err := download.ParseDigest("sha256:" + hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// want checks the file name and that no other file is in its folder.
func want(t *testing.T, name, text string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil || string(got) != text {
		t.Errorf("the file has %q, %v; want %q", got, err, text)
	}
	wantFiles(t, filepath.Dir(name), filepath.Base(name))
}

func wantFiles(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("the folder has other files (-want +got):\n%s", diff)
	}
}

func TestToWriter(t *testing.T) {
	s := &server{content: content}
	var out bytes.Buffer
	var progress []int64
	d := s.start(t)
	d.Progress = func(stored, size int64) { progress = append(progress, stored, size) }
	if err := d.ToWriter(t.Context(), &out); err != nil || out.String() != content {
		t.Errorf("got %q, %v", &out, err)
	}
	if n := int64(len(content)); len(progress) < 2 || progress[len(progress)-2] != n || progress[len(progress)-1] != n {
		t.Errorf("progress %v", progress)
	}
}

// TestDigest compares with the digest of the caller, and without one with the digest
// in the reply.
func TestDigest(t *testing.T) {
	right, wrong := digestOf(t, content), digestOf(t, "other content")
	for name, tt := range map[string]struct {
		digest download.Digest
		header string
		fails  bool
	}{
		"right":            {digest: right},
		"wrong":            {digest: wrong, fails: true},
		"header right":     {header: right.String()},
		"header wrong":     {header: wrong.String(), fails: true},
		"header ignored":   {digest: right, header: wrong.String()},
		"header unknown":   {header: "blake3:00"},
		"header no digest": {header: "sha256:xyz"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{content: content, header: http.Header{"Docker-Content-Digest": {tt.header}}}
			d := s.start(t)
			d.Digest = tt.digest
			file := filepath.Join(t.TempDir(), "blob")
			for way, err := range map[string]error{
				"file":   d.ToFile(t.Context(), file, false),
				"writer": d.ToWriter(t.Context(), io.Discard),
			} {
				if tt.fails != errors.Is(err, download.ErrDigest) || !tt.fails && err != nil {
					t.Errorf("%s: %v", way, err)
				}
			}
			if tt.fails {
				wantFiles(t, filepath.Dir(file))
			} else {
				want(t, file, content)
			}
		})
	}
}

// TestResume breaks off the first download. The second one requests the rest if it
// can tell that the content is the same.
func TestResume(t *testing.T) {
	const cut = 10
	rest := fmt.Sprintf("bytes=%d-", cut)
	for name, tt := range map[string]struct {
		digest   bool
		modified time.Time
		change   func(*server) // between the downloads
		resume   bool
		ranges   []string
	}{
		"digest":            {digest: true, resume: true, ranges: []string{"", rest}},
		"Last-Modified":     {modified: modified, resume: true, ranges: []string{"", rest}},
		"neither":           {resume: true, ranges: []string{"", rest}}, // the reply has the whole content
		"no resume":         {digest: true, ranges: []string{"", ""}},
		"other content":     {modified: modified, resume: true, ranges: []string{"", rest}, change: func(s *server) { s.content, s.modified = "shorter", modified.Add(time.Hour) }},
		"shorter than part": {modified: modified, resume: true, ranges: []string{"", rest, ""}, change: func(s *server) { s.content = "short" }},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{content: content, modified: tt.modified, cut: cut}
			d := s.start(t)
			if tt.digest {
				d.Digest = digestOf(t, content)
			}
			file := filepath.Join(t.TempDir(), "blob")
			incomplete, ok := errors.AsType[*download.IncompleteError](d.ToFile(t.Context(), file, false))
			if !ok || !errors.Is(incomplete, io.ErrUnexpectedEOF) || incomplete.Size != cut || incomplete.Partial != download.Partial(file) {
				t.Fatalf("first download: %+v", incomplete)
			}
			wantFiles(t, filepath.Dir(file), "blob.partial")
			if tt.change != nil {
				tt.change(s)
			}
			if err := d.ToFile(t.Context(), file, tt.resume); err != nil {
				t.Fatal(err)
			}
			want(t, file, s.content)
			if diff := cmp.Diff(tt.ranges, s.ranges); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}
