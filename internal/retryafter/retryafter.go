// Package retryafter reads the header field Retry-After.
package retryafter

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Delay returns how long the server wants a client to wait, 0 if header does not tell.
// It reads Retry-After in both forms (RFC 9110, section 10.2.3): seconds, and a date,
// which counts from the server's own Date, or from now if there is none.
func Delay(header http.Header, now time.Time) time.Duration {
	const most = 1 << 31 // seconds, as in section 1.2.2 of RFC 9111
	value := header.Get("Retry-After")
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, most)) * time.Second // the largest number if it is out of range
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0)
}
