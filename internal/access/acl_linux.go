package access

import "golang.org/x/sys/unix"

// hasACL reports whether the file at path has a POSIX access control list.
func hasACL(path string) bool {
	_, err := unix.Lgetxattr(path, "system.posix_acl_access", nil)
	return err == nil
}
