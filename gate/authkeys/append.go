package authkeys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/filelock"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// ErrEnrolled: the key is in the file already.
var ErrEnrolled = errors.New("the key is enrolled already")

// lockTimeout bounds the wait for other programs that add lines.
const lockTimeout = 10 * time.Second

// Append adds a line for key to the file at path. Several processes may do so at the same
// time. Errors: ErrEnrolled with the line; a name that is none; a lock that another
// process does not give back; those of package os.
func Append(path string, key ssh.PublicKey, name string) error {
	if !IsName(name) {
		return fmt.Errorf("%s cannot be the name of a key's owner: want 1 to 64 of A-Z a-z 0-9 . _ @ -", printable.Quote(name))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return printable.Error(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	if err := filelock.Wait(ctx, f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%s is locked by another process: %w", printable.Text(path), err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return printable.Error(err)
	}
	if e, ok := Parse(data, path).Find(key); ok {
		return fmt.Errorf("%w: %s:%d, name %s", ErrEnrolled, printable.Text(path), e.Line, e.Name)
	}
	line := signer.AuthorizedKey(key) + " " + name + "\n"
	if len(data) > 0 && data[len(data)-1] != '\n' {
		line = "\n" + line
	}
	_, err = io.WriteString(f, line)
	return printable.Error(errors.Join(err, f.Sync(), f.Close()))
}
