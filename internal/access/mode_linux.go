package access

import (
	"slices"

	"golang.org/x/sys/unix"
)

// withoutModes are the file systems on which chmod often has no effect, by the
// numbers of statfs(2): those of Windows, also as WSL and virtual machines share
// them, and FUSE, through which many of them are mounted.
var withoutModes = []int64{
	0x4d44,     // FAT
	0x2011bab0, // exFAT
	0x7366746e, // NTFS
	0xff534d42, // CIFS
	0xfe534d42, // SMB2
	0x01021997, // 9P
	0x65735546, // FUSE
}

// hasFixedModes reports whether chmod cannot change the mode of the file at path.
func hasFixedModes(path string) bool {
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && fixesModes(s)
}

func fixesModes(s unix.Statfs_t) bool {
	return s.Flags&unix.ST_RDONLY != 0 || slices.Contains(withoutModes, int64(uint32(s.Type)))
}
