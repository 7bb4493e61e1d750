//go:build !linux && !windows

package access

// hasFixedModes does not know the file systems of this platform.
func hasFixedModes(string) bool { return false }
