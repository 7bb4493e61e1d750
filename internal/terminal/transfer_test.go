package terminal

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTransferred(t *testing.T) {
	for _, tt := range []struct {
		stored, size int64
		want         string
	}{
		{0, -1, "0 B"},
		{999, -1, "999 B"},
		{1000, -1, "1.0 kB"},
		{999_949, -1, "999.9 kB"},
		{999_950, -1, "1.0 MB"},
		{0, 0, "0 B of 0 B, 100 %"},
		{1, 3, "1 B of 3 B, 33 %"},
		{12_345_678, 45_600_000, "12.3 MB of 45.6 MB, 27 %"},
		{math.MaxInt64 - 1, math.MaxInt64, "9.2 EB of 9.2 EB, 100 %"},
	} {
		if got := transferred(tt.stored, tt.size); got != tt.want {
			t.Errorf("%d of %d: got %q, want %q", tt.stored, tt.size, got, tt.want)
		}
	}
}

// TestTransfer wants one update in each interval, and the last one at once.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		transfer := &Transfer{Out: &out}
		transfer.End() // nothing is shown
		transfer.Show(1000, 3000)
		transfer.Show(1100, 3000)
		time.Sleep(transferInterval)
		transfer.Show(2, -1)
		transfer.Show(3000, 3000)
		transfer.End()
		want := []string{"", "1.0 kB of 3.0 kB, 33 %", "2 B" + strings.Repeat(" ", 19), "3.0 kB of 3.0 kB, 100 %", strings.Repeat(" ", 23), ""}
		if diff := cmp.Diff(want, strings.Split(out.String(), "\r")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
