//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package terminal

import "golang.org/x/sys/unix"

const (
	getTermios         = unix.TIOCGETA
	setTermios         = unix.TIOCSETA
	setTermiosAndFlush = unix.TIOCSETAF

	disabled = 0xff // _POSIX_VDISABLE
)

var signalKeys = []int{unix.VQUIT, unix.VSUSP, unix.VDSUSP}
