package file

import (
	"context"

	"github.com/countersign/countersign/internal/access"
)

// CheckAccess returns an error that wraps ErrInsecure if a user other than the
// current one and root can change the key file called name, or put another file
// in its place through a directory or a symbolic link on the way to it. Open does
// not check this, because a secret that is mounted into a container may belong to
// any user. On Windows CheckAccess checks nothing. Its other errors are those of
// Path and of package os.
func (b *Backend) CheckAccess(name string) error {
	path, err := b.locate(context.Background(), name)
	if err != nil {
		return err
	}
	return access.CheckWriters("key file", path)
}
