package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign/signer"
)

// longest is the longest path, in bytes, that Linux takes.
const longest = 4096

// Path returns where the key file is, or would be, that is meant by name. Its
// errors are those of Open.
func (b *Backend) Path(name string) (string, error) { return b.locate(context.Background(), name) }

// locate returns the path of the key file that is meant by name.
func (b *Backend) locate(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := signer.CheckName(name, longest); err != nil {
		return "", err
	}
	if err := checkPath(name); err != nil {
		return "", err
	}
	if os.IsPathSeparator(name[len(name)-1]) {
		err := fmt.Errorf("%w: it ends as a directory does", signer.ErrName)
		return "", signer.WithHint(err, signer.Hint{Do: "add the name of the key file"})
	}
	path, err := expand(name)
	if err != nil || b.Dir == "" || isRooted(path) {
		return path, err
	}
	dir, err := b.dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, path), nil
}

func (b *Backend) dir() (string, error) {
	dir, err := expand(b.Dir)
	if err != nil {
		return "", fmt.Errorf("key folder: %w", err)
	}
	return dir, nil
}

// isRooted also reports true for the names C:key and \key of Windows.
func isRooted(path string) bool {
	return filepath.VolumeName(path) != "" || os.IsPathSeparator(path[0])
}

// expand puts the home directory in place of a leading ~, as shells do.
func expand(name string) (string, error) {
	rest, ok := strings.CutPrefix(name, "~")
	if !ok {
		return name, nil
	}
	if rest != "" && !os.IsPathSeparator(rest[0]) {
		err := fmt.Errorf("%w: the home directory of another user is not looked up", signer.ErrName)
		return "", signer.WithHint(err, signer.Hint{Do: "give its path, or put ./ before the name of a file that starts with ~"})
	}
	home, err := os.UserHomeDir()
	if err != nil {
		err := fmt.Errorf("%w: no home directory for ~: %w", signer.ErrUnavailable, err)
		return "", signer.WithHint(err, signer.Hint{Do: "set HOME, or give an absolute path"})
	}
	return filepath.Join(home, rest), nil
}
