// Package watch keeps the parsed content of files and reads them again when they
// change.
package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/internal/printable"
)

// Interval is the time between two looks at a file. A change is used at the second
// look that finds the same content, so that no half-written file is used: at most
// three intervals later.
const Interval = 250 * time.Millisecond

// MaxSize is the size of the largest file that is read.
const MaxSize = 16 << 20

// A File has the parsed content of the file at a path. If the file cannot be read, or
// not be parsed, the last good content stays, Err tells the reason, and each look tries
// again. It is safe for concurrent use.
type File[T any] struct {
	path  string
	parse func(data []byte) (T, error)

	value atomic.Pointer[T]
	state atomic.Pointer[state]

	mu   sync.Mutex
	used []byte // what value was parsed from
	seen []byte // what the last look found
}

type state struct{ err error }

// Open reads the file at path. The error is that of the file or of parse. The File is
// usable all the same: Get returns the zero value until there is a good one.
func Open[T any](path string, parse func(data []byte) (T, error)) (*File[T], error) {
	f := &File[T]{path: path, parse: parse}
	f.value.Store(new(T))
	f.state.Store(&state{})
	f.Reload()
	return f, f.Err()
}

// Get returns the last good content.
func (f *File[T]) Get() T { return *f.value.Load() }

// Err returns why the file as it is now is not used, or nil.
func (f *File[T]) Err() error { return f.state.Load().err }

// Path returns the path of the file.
func (f *File[T]) Path() string { return f.path }

// Reload reads the file and uses what it has, and reports whether that changed
// anything.
func (f *File[T]) Reload() (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := read(f.path)
	return f.use(data, err)
}

// Look reads the file and uses what it has if the last look saw the same.
func (f *File[T]) Look() (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := read(f.path)
	if err == nil && !bytes.Equal(data, f.seen) {
		f.seen = data
		return false
	}
	return f.use(data, err)
}

func (f *File[T]) use(data []byte, err error) (changed bool) {
	if err != nil {
		f.used, f.seen = nil, nil
		return f.fail(fmt.Errorf("%w: the last content of %s is used on", err, printable.Text(f.path)))
	}
	if f.used != nil && bytes.Equal(data, f.used) && f.Err() == nil {
		return false
	}
	f.used, f.seen = data, data
	value, err := f.parse(data)
	if err != nil {
		return f.fail(err)
	}
	f.value.Store(&value)
	f.state.Store(&state{})
	return true
}

// fail notes err and reports whether it is news.
func (f *File[T]) fail(err error) bool {
	last := f.state.Swap(&state{err})
	return last.err == nil || last.err.Error() != err.Error()
}

// read returns the content of the file at path. It is never nil without an error.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, printable.Error(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", printable.Text(path))
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("%s has more than %d bytes", printable.Text(path), MaxSize)
	}
	return append([]byte{}, data...), printable.Error(err)
}

// A Watched is a [File], or something that consists of several.
type Watched interface {
	Path() string
	Err() error
	Look() (changed bool)
	Reload() (changed bool)
}

// Run looks at files every [Interval] until ctx ends. A value from again makes it read
// them at once. It calls report after each change, with the error of the file or nil.
func Run(ctx context.Context, again <-chan os.Signal, report func(path string, err error), files ...Watched) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		look := Watched.Look
		select {
		case <-ctx.Done():
			return
		case <-again:
			look = Watched.Reload
		case <-ticker.C:
		}
		for _, f := range files {
			if look(f) {
				report(f.Path(), f.Err())
			}
		}
	}
}

// Errors returns why files are not used as they are now, or nil.
func Errors(files ...Watched) error {
	var all []error
	for _, f := range files {
		all = append(all, f.Err())
	}
	return errors.Join(all...)
}
