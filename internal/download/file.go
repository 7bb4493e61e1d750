package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Partial returns the name of the file that holds the content of name until it is
// complete.
func Partial(name string) string { return name + ".partial" }

// ToFile stores the content in the file name, which appears, or is replaced, when
// the content is complete and has its digest. Until then the content is in
// [Partial](name). If the download fails, that file stays, and ToFile with resume
// requests only the rest.
//
// A resumed download whose digest is unknown starts again unless the server says
// that the content is unchanged since the first part (If-Range with the server's
// Last-Modified).
//
// If name is a symbolic link, its target is replaced. If name is a device or a pipe,
// the content is written to it. Errors: those of Request, ErrDigest,
// [filelock.ErrHeld] if another process stores the same file, and those of the file
// system. An [*IncompleteError] wraps the error if a part of the content is stored.
func (d *Download) ToFile(ctx context.Context, name string, resume bool) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder: give the name of a file in it", name)
	case !info.Mode().IsRegular():
		return d.toDevice(ctx, name, resume)
	}
	f, err := openPartial(name, resume)
	if err != nil {
		return err
	}
	if info != nil {
		f.mode = info.Mode().Perm()
	}
	if err := d.store(ctx, f); err != nil {
		return f.abandon(err)
	}
	return f.complete()
}

// An IncompleteError says that a download failed and that a part of the content is
// stored.
type IncompleteError struct {
	Partial string // the name of the file that holds the part
	Size    int64  // of the part
	Err     error
}

func (e *IncompleteError) Error() string { return e.Err.Error() }

func (e *IncompleteError) Unwrap() error { return e.Err }

func (d *Download) toDevice(ctx context.Context, name string, resume bool) error {
	if resume {
		return fmt.Errorf("%s is not a regular file: a download into it cannot continue", name)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.ToWriter(ctx, f), f.Close())
}

// store appends the content that f does not have.
func (d *Download) store(ctx context.Context, f *partial) error {
	resp, err := d.request(ctx, f)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f.modified, _ = http.ParseTime(resp.Header.Get("Last-Modified")) // zero if absent
	if err := f.cut(); err != nil {
		return err
	}
	v := d.digest(resp).verifier()
	if _, err := io.Copy(v, io.NewSectionReader(f, 0, f.size)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusRequestedRangeNotSatisfiable { // f is complete
		if err := d.copy(f, v, resp, f.size); err != nil {
			return err
		}
	}
	return v.check()
}

// request requests the content after the first f.size bytes. If the reply has the
// content from the start, request sets f.size to 0.
func (d *Download) request(ctx context.Context, f *partial) (*http.Response, error) {
	if f.size == 0 {
		return d.Request(ctx, http.Header{})
	}
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-", f.size)}}
	if d.Digest == (Digest{}) {
		header.Set("If-Range", f.modified.UTC().Format(http.TimeFormat))
	}
	resp, err := d.Request(ctx, header)
	if err != nil {
		return nil, err
	}
	if continues(resp, f.size) {
		return resp, nil
	}
	f.size = 0
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	resp.Body.Close()
	return d.Request(ctx, http.Header{})
}

// continues reports whether resp has all content after the first size bytes. A reply
// of status 416 has it if these bytes are the whole content (RFC 9110, sections 14.4
// and 15.5.17).
func continues(resp *http.Response, size int64) bool {
	sent, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	switch resp.StatusCode {
	case http.StatusPartialContent:
		var first, last int64
		_, err := fmt.Sscanf(sent, "bytes %d-%d", &first, &last)
		return err == nil && first == size && (total == "*" || total == strconv.FormatInt(last+1, 10))
	case http.StatusRequestedRangeNotSatisfiable:
		return sent == "bytes *" && total == strconv.FormatInt(size, 10)
	}
	return false
}
