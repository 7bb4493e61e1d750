package access

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The numbers are those of the kernel's linux/magic.h. WSL mounts the disks of Windows
// as 9P, with mode 0777 for every file.
func TestFixesModes(t *testing.T) {
	for name, tt := range map[string]struct {
		fs   unix.Statfs_t
		want bool
	}{
		"ext4":             {unix.Statfs_t{Type: unix.EXT4_SUPER_MAGIC}, false},
		"tmpfs":            {unix.Statfs_t{Type: unix.TMPFS_MAGIC}, false},
		"tmpfs, read-only": {unix.Statfs_t{Type: unix.TMPFS_MAGIC, Flags: unix.ST_RDONLY}, true},
		"WSL":              {unix.Statfs_t{Type: unix.V9FS_MAGIC}, true},
		"FAT":              {unix.Statfs_t{Type: unix.MSDOS_SUPER_MAGIC}, true},
		"exFAT":            {unix.Statfs_t{Type: unix.EXFAT_SUPER_MAGIC}, true},
		"CIFS":             {unix.Statfs_t{Type: unix.CIFS_SUPER_MAGIC}, true},
		"SMB2":             {unix.Statfs_t{Type: unix.SMB2_SUPER_MAGIC}, true},
		"FUSE":             {unix.Statfs_t{Type: unix.FUSE_SUPER_MAGIC}, true},
	} {
		if got := fixesModes(tt.fs); got != tt.want {
			t.Errorf("%s: fixesModes = %v, want %v", name, got, tt.want)
		}
	}
}
