// Package faults shows a test the system calls of a function and makes some of
// them fail, as a broken disk does, or lets another process act in between. Only
// tests use it. It relies on seccomp_unotify(2).
package faults

import (
	"bytes"
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Call is a system call that the watched function is about to make.
type Call struct {
	Number uintptr // such as unix.SYS_FSYNC
	Path   string  // of the file descriptor or, where the call takes one, the path
}

// Watch runs f and asks decide before each system call that has one of the given
// numbers. If decide returns an error number, the call fails with it and is not
// made. Watch sees only calls of f's own goroutine that name a file with an absolute
// path. f must not end the test.
//
// The numbers may be those of fsync, fchmod, fstat, flock, read, write and close,
// which take a file descriptor, and of openat, mkdirat, fchmodat, unlinkat, linkat
// and renameat2, which take a directory and a path.
func Watch(t *testing.T, numbers []uintptr, decide func(Call) syscall.Errno, f func()) {
	t.Helper()
	listeners := make(chan int, 1)
	failed := make(chan error, 1)
	finished := make(chan struct{})
	var isDone atomic.Bool
	go func() {
		defer close(finished)
		runtime.LockOSThread() // and never unlocked: the thread ends with its filter
		listener, err := install(numbers)
		if err != nil {
			failed <- err
			return
		}
		listeners <- listener
		f()
		isDone.Store(true)
		_, _, _ = unix.Syscall(numbers[0], ^uintptr(0), 0, 0) // wakes the listener
	}()
	select {
	case err := <-failed:
		if os.Getenv("CI") != "" {
			t.Fatalf("watching system calls: %v", err)
		}
		t.Skipf("SKIPPED: watching system calls: %v", err)
	case listener := <-listeners:
		for answer(t, listener, &isDone, decide) {
		}
		unix.Close(listener) // calls that nobody answered fail
		<-finished
	}
}

// install makes the kernel report the numbers that this thread calls.
func install(numbers []uintptr) (listener int, err error) {
	const jumpIfEqual, load, ret = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{{Code: load}} // the number is at offset 0
	for _, n := range numbers {
		program = append(program,
			unix.SockFilter{Code: jumpIfEqual, Jf: 1, K: uint32(n)},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	program = append(program, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, os.NewSyscallError("prctl", err)
	}
	// Without the second flag a signal makes the thread repeat its call (Linux 5.19).
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, os.NewSyscallError("seccomp", errno)
	}
	return int(fd), nil
}

// request is struct seccomp_notif of linux/seccomp.h.
type request struct {
	id                 uint64
	pid, flags         uint32
	number             int32
	arch               uint32
	instructionPointer uint64
	args               [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// answer answers one system call. It reports whether to wait for another.
func answer(t *testing.T, listener int, isDone *atomic.Bool, decide func(Call) syscall.Errno) bool {
	var req request
	if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&req)); err != nil {
		if err == syscall.EINTR || err == syscall.ENOENT { // a signal came first: to this thread or to the other
			return true
		}
		t.Errorf("receiving a system call: %v", err)
		return false
	}
	resp := response{id: req.id, errno: -int32(syscall.EBADF)}
	last := isDone.Load()
	if !last {
		resp.errno, resp.flags = 0, unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		c := call(req)
		if strings.HasPrefix(c.Path, "/") && c.Path != testLog() { // Go's scheduler writes to an eventfd
			if errno := decide(c); errno != 0 {
				resp.errno, resp.flags = -int32(errno), 0
			}
		}
	}
	if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&resp)); err != nil {
		t.Errorf("answering a system call: %v", err)
		return false
	}
	return !last
}

// testLog returns the file in which go test has this process write down the files and
// variables that it uses.
func testLog() string {
	if f := flag.Lookup("test.testlogfile"); f != nil {
		return f.Value.String()
	}
	return ""
}

func ioctl(fd int, command uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), command, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

func call(req request) Call {
	c := Call{Number: uintptr(req.number)}
	switch c.Number {
	case unix.SYS_FSYNC, unix.SYS_FCHMOD, unix.SYS_FSTAT, unix.SYS_FLOCK, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE:
		c.Path, _ = os.Readlink("/proc/self/fd/" + strconv.FormatUint(req.args[0], 10))
	default:
		c.Path = text(req.args[1])
	}
	return c
}

// text reads the string at an address of this process.
func text(address uint64) string {
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		return ""
	}
	defer memory.Close()
	b := make([]byte, unix.PathMax)
	n, _ := memory.ReadAt(b, int64(address)) // less where the memory ends
	b, _, _ = bytes.Cut(b[:n], []byte{0})
	return string(b)
}
