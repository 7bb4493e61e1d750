//go:build !unix

package keylock

import "io/fs"

// isPrivate relies on the temporary directory, which is the user's own here.
func isPrivate(fs.FileInfo) bool { return true }
