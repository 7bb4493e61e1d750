package download

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/countersign/countersign/internal/filelock"
)

// A partial is the open and locked file for incomplete content.
type partial struct {
	*os.File
	target   string
	size     int64       // of the content from earlier calls that counts
	modified time.Time   // the server's time of that content's last change
	mode     os.FileMode // of the file that is replaced, or 0
}

// openPartial opens the partial file for target and locks it. Unless resume is true,
// its content does not count.
func openPartial(target string, resume bool) (*partial, error) {
	f, err := openLocked(Partial(target))
	if err != nil {
		return nil, err
	}
	if !resume {
		return &partial{File: f, target: target}, nil
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &partial{File: f, target: target, size: info.Size(), modified: info.ModTime()}, nil
}

// openLocked opens name, makes it if it is absent, and locks it. It follows no
// symbolic link, because another user may have made one in a shared folder.
func openLocked(name string) (*os.File, error) {
	for {
		if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is in the way: it is not a regular file", name)
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		err = filelock.Try(f)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			f.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		opened, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if named, err := os.Lstat(name); err == nil && os.SameFile(opened, named) {
			return f, nil
		}
		f.Close() // another process completed it, or name was a link
	}
}

// cut removes the content that does not count. The next write appends.
func (p *partial) cut() error {
	if err := p.Truncate(p.size); err != nil {
		return err
	}
	_, err := p.Seek(p.size, io.SeekStart)
	return err
}

// complete gives the file its final name.
func (p *partial) complete() error {
	var err error
	if p.mode != 0 {
		err = p.Chmod(p.mode)
	}
	// Windows renames no open file.
	err = errors.Join(err, p.Sync(), p.Close())
	if err != nil {
		return err
	}
	return os.Rename(p.Name(), p.target)
}

// abandon closes the file after the error cause, which it returns. It removes the file
// if it is empty or if its content is wrong, and otherwise dates it for If-Range.
func (p *partial) abandon(cause error) error {
	info, err := p.Stat()
	closeErr := p.Close()
	if err != nil || info.Size() == 0 || errors.Is(cause, ErrDigest) {
		return errors.Join(cause, err, closeErr, os.Remove(p.Name()))
	}
	if closeErr == nil && !p.modified.IsZero() {
		closeErr = os.Chtimes(p.Name(), time.Time{}, p.modified)
	}
	return &IncompleteError{p.Name(), info.Size(), errors.Join(cause, closeErr)}
}
