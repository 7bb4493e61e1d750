// Package download stores the content of a URL: in a file that appears when it is
// complete, or in a stream. It compares the content with its digest.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/printable"
)

// ErrDigest means that the content is not the content that the digest stands for.
var ErrDigest = errors.New("the content has another digest")

// A Download is one GET request. Its methods may be called once.
type Download struct {
	// Request sends the request with additional header fields and returns a reply of
	// status 200. If the header has a Range, the reply may also have status 206 or
	// 416. Other replies are errors.
	Request func(ctx context.Context, header http.Header) (*http.Response, error)

	// Digest is the digest of the content. If it is the zero value, the reply's
	// Docker-Content-Digest counts.
	Digest Digest

	// Progress is called after each part of the content with the number of bytes
	// that are stored and with the size of the content, which is -1 if it is unknown.
	// It may be nil.
	Progress func(stored, size int64)
}

// ToWriter writes the content to w. If the content has another digest, ToWriter
// returns ErrDigest after it wrote the content.
func (d *Download) ToWriter(ctx context.Context, w io.Writer) error {
	resp, err := d.Request(ctx, http.Header{})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	v := d.digest(resp).verifier()
	if err := d.copy(w, v, resp, 0); err != nil {
		return err
	}
	return v.check()
}

// digest returns the digest of the content in resp.
func (d *Download) digest(resp *http.Response) Digest {
	if d.Digest != (Digest{}) {
		return d.Digest
	}
	named, err := ParseDigest(resp.Header.Get("Docker-Content-Digest"))
	if err != nil {
		return Digest{} // the server names none that can be checked
	}
	return named
}

// copy copies the body of resp, which follows the first stored bytes of the content.
func (d *Download) copy(w io.Writer, v *verifier, resp *http.Response, stored int64) error {
	size := int64(-1)
	if resp.ContentLength >= 0 {
		size = stored + resp.ContentLength
	}
	body := readerFunc(func(p []byte) (int, error) {
		n, err := resp.Body.Read(p)
		if stored += int64(n); d.Progress != nil {
			d.Progress(stored, size)
		}
		if err != nil && err != io.EOF {
			err = fmt.Errorf("reading %s: %w", URLOf(resp), err)
		}
		return n, err
	})
	_, err := io.Copy(io.MultiWriter(w, v), body)
	return err
}

// URLOf returns the URL of resp for a message: without a password and, if a redirect
// led there, without the query, which may be a secret that opens the content.
func URLOf(resp *http.Response) string {
	text := resp.Request.URL.Redacted()
	if resp.Request.Response != nil {
		text, _, _ = strings.Cut(text, "?")
	}
	return printable.Text(text)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
