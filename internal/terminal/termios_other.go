//go:build aix || linux || solaris

package terminal

import "golang.org/x/sys/unix"

const (
	getTermios         = unix.TCGETS
	setTermios         = unix.TCSETS
	setTermiosAndFlush = unix.TCSETSF

	disabled = 0 // _POSIX_VDISABLE
)

var signalKeys = []int{unix.VQUIT, unix.VSUSP}
