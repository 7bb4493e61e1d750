package authkeys

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// ErrEnrolled: the key is in the file already.
var ErrEnrolled = errors.New("the key is enrolled already")

// Append adds a line for key to the file at path. Errors: ErrEnrolled with the line;
// a name that is none; those of package os.
func Append(path string, key ssh.PublicKey, name string) error {
	if !IsName(name) {
		return fmt.Errorf("%s cannot be the name of a key's owner: want 1 to 64 of A-Z a-z 0-9 . _ @ -", printable.Quote(name))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return printable.Error(err)
	}
	defer f.Close()
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
