package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string) (*File[string], error) {
	t.Helper()
	return Open(path, func(data []byte) (string, error) {
		if string(data) == "bad" {
			return "", errors.New("bad content")
		}
		return string(data), nil
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileLooksTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	f, err := open(t, path)
	if err != nil || f.Get() != "one" {
		t.Fatal(f.Get(), err)
	}
	for i, step := range []struct {
		text    string // "" writes nothing
		changed bool
		want    string
	}{
		{"", false, "one"},
		{"tw", false, "one"}, // half-written
		{"two", false, "one"},
		{"", true, "two"},
		{"", false, "two"},
		{"three", false, "two"},
		{"two", false, "two"},
		{"", false, "two"},
	} {
		if step.text != "" {
			write(t, path, step.text)
		}
		if changed := f.Look(); changed != step.changed || f.Get() != step.want {
			t.Errorf("step %d: changed %v, content %q", i, changed, f.Get())
		}
	}
	write(t, path, "now")
	if !f.Reload() || f.Get() != "now" {
		t.Errorf("after Reload: %q", f.Get())
	}
}

func TestFileKeepsTheLastGoodContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "good")
	f, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(){
		"bad":     func() { write(t, path, "bad") },
		"missing": func() { os.Remove(path) },
		"folder":  func() { os.Remove(path); os.Mkdir(path, 0o700) },
	} {
		damage()
		if !f.Reload() || f.Err() == nil || f.Get() != "good" {
			t.Errorf("%s: %v, %q", name, f.Err(), f.Get())
		}
		if f.Reload() {
			t.Errorf("%s: it is news twice", name)
		}
		os.Remove(path)
		write(t, path, "good")
		if f.Reload(); f.Err() != nil || f.Get() != "good" {
			t.Errorf("%s, mended: %v, %q", name, f.Err(), f.Get())
		}
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error for a missing file")
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.Truncate(big, 0); err == nil {
		t.Fatal("it exists")
	}
	write(t, big, "")
	if err := os.Truncate(big, MaxSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, big); err == nil {
		t.Error("no error for a large file")
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	write(t, one, "a")
	write(t, two, "a")
	f1, err := open(t, one)
	f2, err2 := open(t, two)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	again := make(chan os.Signal)
	reports := make(chan string, 10)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		Run(ctx, again, func(path string, err error) { reports <- filepath.Base(path) }, f1, f2)
	})
	write(t, two, "b")
	if got := <-reports; got != "2" || f2.Get() != "b" {
		t.Errorf("report of %s, content %q", got, f2.Get())
	}
	write(t, one, "c")
	again <- os.Interrupt
	if got := <-reports; got != "1" || f1.Get() != "c" {
		t.Errorf("report of %s, content %q", got, f1.Get())
	}
	if err := Errors(f1, f2); err != nil {
		t.Error(err)
	}
	stop()
	tasks.Wait()
}

// A change acts within a second: it is seen at the third look at the latest.
func TestRule10_Interval(t *testing.T) {
	if 3*Interval >= time.Second {
		t.Errorf("three intervals are %v", 3*Interval)
	}
}
