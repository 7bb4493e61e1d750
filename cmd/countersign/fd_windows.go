package main

import "syscall"

// closeOnExec keeps child processes from inheriting fd.
func closeOnExec(fd uintptr) { syscall.CloseOnExec(syscall.Handle(fd)) }
