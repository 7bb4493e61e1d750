package file

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign/signer"
)

// checkPath refuses names that are no files on Windows: devices (NUL, COM1.key,
// \\.\pipe\x) and streams inside another file (key:x).
func checkPath(path string) error {
	volume := filepath.VolumeName(path)
	if strings.HasPrefix(filepath.ToSlash(volume), "//./") {
		return fmt.Errorf("%w: it is a device, not a file", signer.ErrName)
	}
	for part := range strings.SplitSeq(filepath.ToSlash(path[len(volume):]), "/") {
		if part != "" && part != ".." && !filepath.IsLocal(part) {
			return fmt.Errorf("%w: Windows takes a part of it for a device (NUL, COM1) or for a stream (key:x): use another name", signer.ErrName)
		}
	}
	return nil
}
