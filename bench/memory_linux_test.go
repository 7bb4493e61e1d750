package main

import (
	"fmt"
	"os"
	"strings"
)

// peakMemory returns the most memory that a process had so far, in bytes
// (proc_pid_status(5)).
func peakMemory(pid int) (bytes int64, known bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	_, err = fmt.Sscan(rest, &bytes)
	return bytes << 10, err == nil
}
