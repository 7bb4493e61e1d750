//go:build unix

package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

const ttyName = "/dev/tty"

// hide turns off the echo of tty. The keys that stop or abort a process have no
// effect then, since they would leave the terminal without echo. restore undoes
// that, and discards typed characters that nobody has read if discard is true.
func hide(tty *os.File) (restore func(discard bool), err error) {
	fd := int(tty.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	for _, key := range signalKeys {
		hidden.Cc[key] = disabled
	}
	if err := unix.IoctlSetTermios(fd, setTermios, &hidden); err != nil {
		return nil, err
	}
	return func(discard bool) {
		request := uint(setTermios)
		if discard {
			request = setTermiosAndFlush
		}
		_ = unix.IoctlSetTermios(fd, request, before)
	}, nil
}

func readHidden(tty *os.File) ([]byte, error) { return readLine(tty) }
