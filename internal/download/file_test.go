package download_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/countersign/countersign/internal/download"
	"github.com/countersign/countersign/internal/filelock"
)

// TestResumeOfCompletePart resumes where only the final name was missing.
func TestResumeOfCompletePart(t *testing.T) {
	for name, part := range map[string]string{"whole": content, "too long": content + "x"} {
		t.Run(name, func(t *testing.T) {
			s := &server{content: content}
			d := s.start(t)
			d.Digest = digestOf(t, content)
			file := filepath.Join(t.TempDir(), "blob")
			write(t, download.Partial(file), part)
			if err := d.ToFile(t.Context(), file, true); err != nil {
				t.Fatal(err)
			}
			want(t, file, content)
		})
	}
}

// TestResumeOfWrongPart wants the wrong part removed, so that the next download
// succeeds.
func TestResumeOfWrongPart(t *testing.T) {
	s := &server{content: content}
	d := s.start(t)
	d.Digest = digestOf(t, content)
	file := filepath.Join(t.TempDir(), "blob")
	write(t, download.Partial(file), "wrong")
	if err := d.ToFile(t.Context(), file, true); !errors.Is(err, download.ErrDigest) {
		t.Errorf("got %v", err)
	}
	if err := d.ToFile(t.Context(), file, true); err != nil {
		t.Error(err)
	}
	want(t, file, content)
}

// TestResumeRefusesOtherRanges has a server send ranges that do not complete the
// content.
func TestResumeRefusesOtherRanges(t *testing.T) {
	for _, sent := range []string{"bytes 4-46/47", "bytes 5-8/47", "bytes 5-46/50", "bytes 5-", "chunks 5-46/47", ""} {
		t.Run(sent, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "blob")
			write(t, download.Partial(file), content[:5])
			s := &server{content: content}
			d := s.start(t)
			request := d.Request
			d.Request = func(ctx context.Context, header http.Header) (*http.Response, error) {
				ranged := header.Get("Range") != ""
				resp, err := request(ctx, header)
				if ranged && err == nil {
					resp.StatusCode = http.StatusPartialContent
					resp.Header.Set("Content-Range", sent)
				}
				return resp, err
			}
			if err := d.ToFile(t.Context(), file, true); err != nil {
				t.Fatal(err)
			}
			want(t, file, content)
		})
	}
}

// TestFailedRequestKeepsPart wants the part of an earlier download kept, also
// without resume.
func TestFailedRequestKeepsPart(t *testing.T) {
	for _, resume := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "blob")
		write(t, download.Partial(file), "part")
		failed := errors.New("no route")
		d := &download.Download{Request: func(context.Context, http.Header) (*http.Response, error) { return nil, failed }}
		if err := d.ToFile(t.Context(), file, resume); !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		want(t, download.Partial(file), "part")
	}
}

func TestReplaceFile(t *testing.T) {
	s := &server{content: content}
	folder := t.TempDir()
	file, link := filepath.Join(folder, "blob"), filepath.Join(folder, "link")
	write(t, file, "old")
	if err := os.Symlink("blob", link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	s.cut = 5
	if err := s.start(t).ToFile(t.Context(), link, false); err == nil {
		t.Fatal("a download that broke off succeeded")
	}
	if got, _ := os.ReadFile(file); string(got) != "old" {
		t.Errorf("the file has %q before the content is complete", got)
	}
	if err := s.start(t).ToFile(t.Context(), link, false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is no link any more: %v, %v", info, err)
	}
	info, err := os.Stat(file)
	if got, _ := os.ReadFile(file); string(got) != content || err != nil {
		t.Errorf("the file has %q, %v", got, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want that of the replaced file", info.Mode())
	}
}

func TestTargets(t *testing.T) {
	s := &server{content: content}
	folder := t.TempDir()
	if err := s.start(t).ToFile(t.Context(), folder, false); err == nil {
		t.Error("a folder was replaced")
	}
	if err := s.start(t).ToFile(t.Context(), os.DevNull, false); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s is a file now: %v, %v", os.DevNull, info, err)
	}
	if err := s.start(t).ToFile(t.Context(), os.DevNull, true); err == nil {
		t.Error("a download into a device continued")
	}
	if err := s.start(t).ToFile(t.Context(), filepath.Join(folder, "absent", "blob"), false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent folder: %v", err)
	}
	wantFiles(t, folder)
}

// TestPartialIsNoLink plants a link that points to a file of the user.
func TestPartialIsNoLink(t *testing.T) {
	s := &server{content: content}
	file, precious := filepath.Join(t.TempDir(), "blob"), filepath.Join(t.TempDir(), "precious")
	write(t, precious, "precious")
	if err := os.Symlink(precious, download.Partial(file)); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := s.start(t).ToFile(t.Context(), file, false); err == nil {
		t.Error("the download followed the link")
	}
	want(t, precious, "precious")
}

func TestTwoDownloadsOfOneFile(t *testing.T) {
	s := &server{content: content}
	file := filepath.Join(t.TempDir(), "blob")
	d := s.start(t)
	request := d.Request
	d.Request = func(ctx context.Context, header http.Header) (*http.Response, error) {
		if err := s.start(t).ToFile(ctx, file, false); !errors.Is(err, filelock.ErrHeld) {
			t.Errorf("a second download: %v", err)
		}
		return request(ctx, header)
	}
	if err := d.ToFile(t.Context(), file, false); err != nil {
		t.Error(err)
	}
	want(t, file, content)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
