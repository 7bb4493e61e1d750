package config

import "github.com/countersign/countersign/internal/access"

// CheckAccess returns an error that wraps [signer.ErrInsecure] if a user other
// than the current one and root can change the configuration file at path, or put
// another file in its place: the file decides which key signs for which registry.
// It looks at the file, every directory above it and every symbolic link on the
// way. On Windows SYSTEM, the administrators and the installer of Windows may do so, too.
func CheckAccess(path string) error { return access.CheckWriters("configuration file", path) }
