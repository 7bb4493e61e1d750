//go:build unix

package fd

import "syscall"

// CloseOnExec keeps child processes from inheriting the file descriptor n.
func CloseOnExec(n uintptr) { syscall.CloseOnExec(int(n)) }
