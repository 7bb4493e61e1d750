package fd

import "syscall"

// CloseOnExec keeps child processes from inheriting the handle n.
func CloseOnExec(n uintptr) { syscall.CloseOnExec(syscall.Handle(n)) }
