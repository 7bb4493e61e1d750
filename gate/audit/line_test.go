package audit_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/scope"
)

func write(t *testing.T, d audit.Decision) (line string, back audit.Decision) {
	t.Helper()
	var out bytes.Buffer
	if err := audit.New(&out).Write(d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	return out.String(), back
}

// Nobody can fill the log with a request of 64 KiB.
func TestLineOfALongRequest(t *testing.T) {
	long := strings.Repeat("ä", 30_000)
	asked := slices.Repeat([]scope.Access{{Type: long, Name: long, Actions: slices.Repeat([]string{long}, 1000)}}, 100)
	line, back := write(t, audit.Decision{Method: long, Path: long, Reason: long, Secret: long, Asked: asked, Access: asked[:21]})
	if len(line) > 16<<10 || strings.Count(line, "\n") != 1 {
		t.Errorf("%d bytes", len(line))
	}
	if len(back.Asked) != 10 || len(back.Access) != 10 || back.Omitted != 101 {
		t.Errorf("%d asked, %d granted, %d omitted", len(back.Asked), len(back.Access), back.Omitted)
	}
	if name := back.Asked[0].Name; name != strings.Repeat("ä", 128)+"..." {
		t.Errorf("name %q", name)
	}
}

func TestLineOfAUsualRequest(t *testing.T) {
	name := strings.Repeat("a", 255)
	access := []scope.Access{{Type: "repository", Name: name, Actions: []string{"pull", "push"}}}
	_, back := write(t, audit.Decision{Method: "GET", Path: "/token", Access: access})
	if diff := cmp.Diff(access, back.Access); diff != "" || back.Omitted != 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
