package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/scope"
)

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	l := audit.New(&out)
	access := []scope.Access{{Type: "repository", Name: "a", Actions: []string{"pull"}}}
	want := audit.Decision{
		Time: time.Unix(1, 0).UTC(), Granted: true, Status: 200, Name: "alice", Key: "SHA256:x", Address: "192.0.2.1",
		Site: "https://reg.example", Method: "GET", Path: "/token", Access: access, Asked: access, Secret: "id",
	}
	if err := l.Write(want); err != nil {
		t.Fatal(err)
	}
	var got audit.Decision
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%v: %q", err, out.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Text of a client cannot look like another line, or change a terminal.
func TestWriteHostileText(t *testing.T) {
	const hostile = "/x\n{\"granted\":true}\r\x1b[2J\u202e\u2028"
	var out bytes.Buffer
	d := audit.Decision{Method: hostile, Path: hostile, Reason: hostile, Name: hostile, Asked: []scope.Access{{Name: hostile}}}
	if err := audit.New(&out).Write(d); err != nil {
		t.Fatal(err)
	}
	text, found := strings.CutSuffix(out.String(), "\n")
	if !found || strings.ContainsAny(text, "\n\r\x1b\u202e\u2028") {
		t.Errorf("%q", out.String())
	}
	var got audit.Decision
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Granted {
		t.Errorf("%v: %+v", err, got)
	}
	out.Reset()
	long := strings.Repeat("x", 1<<20)
	if err := audit.New(&out).Write(audit.Decision{Method: long, Path: long, Reason: long}); err != nil || out.Len() > 16<<10 {
		t.Errorf("a line of %d bytes, %v", out.Len(), err)
	}
}

func TestOpenAndReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string) {
		if err := l.Write(audit.Decision{Path: path}); err != nil {
			t.Error(err)
		}
	}
	write("/first")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("/second")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	for range 10 {
		tasks.Go(func() { write("/third") })
	}
	tasks.Wait()
	old, err := os.ReadFile(path + ".1")
	if err != nil || !strings.HasPrefix(string(old), "before\n{") || !strings.Contains(string(old), "/first") || !strings.Contains(string(old), "/second") {
		t.Errorf("the renamed file: %q, %v", old, err)
	}
	now, err := os.ReadFile(path)
	if err != nil || strings.Count(string(now), "/third") != 10 || strings.Count(string(now), "\n") != 10 {
		t.Errorf("the new file: %q, %v", now, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new file: %v, %v", info.Mode(), err)
	}
	// A file that cannot be opened again leaves the old one in use.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Error("a folder was opened as the log")
	}
	write("/fourth")
	if text, err := os.ReadFile(path + ".2"); err != nil || !strings.Contains(string(text), "/fourth") {
		t.Errorf("after a failure: %q, %v", text, err)
	}
	if _, err := audit.Open(path); err == nil {
		t.Error("a folder was opened as the log")
	}
	if _, err := audit.Open(filepath.Join(path, "no\x1bfolder", "x")); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("an odd path: %q", err)
	}
	if err := audit.New(failingWriter{}).Write(audit.Decision{}); !errors.Is(err, errWrite) {
		t.Errorf("a full disk: %v", err)
	}
	if err := audit.New(&bytes.Buffer{}).Reopen(); err != nil {
		t.Errorf("without a file: %v", err)
	}
}

type failingWriter struct{}

var errWrite = errors.New("no space")

func (failingWriter) Write([]byte) (int, error) { return 0, errWrite }
