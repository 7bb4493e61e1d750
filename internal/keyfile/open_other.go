//go:build !windows

package keyfile

import "os"

// openShared opens a file that other programs may rename and remove meanwhile.
func openShared(path string) (*os.File, error) { return os.Open(path) }
