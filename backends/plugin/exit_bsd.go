//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package plugin

import "golang.org/x/sys/unix"

// awaitExit watches the process with kqueue(2), because waitid(2) is not in all of
// these systems. It returns at once if the process has ended (ESRCH).
func awaitExit(pid int) {
	queue, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer unix.Close(queue)
	unix.CloseOnExec(queue)
	var exit [1]unix.Kevent_t
	unix.SetKevent(&exit[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	exit[0].Fflags = unix.NOTE_EXIT
	changes := exit[:]
	for {
		_, err := unix.Kevent(queue, changes, make([]unix.Kevent_t, 1), nil)
		if err != unix.EINTR {
			return
		}
		changes = nil // they are applied
	}
}
