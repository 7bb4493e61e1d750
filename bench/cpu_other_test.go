//go:build !unix

package main

import "time"

var start = time.Now()

// cpu is the time that has passed: other systems have no simple way to tell how
// long this process has computed.
func cpu() time.Duration { return time.Since(start) }
