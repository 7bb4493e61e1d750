package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/terminal/terminaltest"
)

// atTerminal runs a command line at a terminal and returns the screen and the exit
// code.
func atTerminal(t *testing.T, line string) (screen string, code int) {
	t.Helper()
	tty, program := terminaltest.Open(t)
	p := sitAt(t, tty, program, append(os.Environ(), "OLLAMA_KEY="+strings.Repeat("00", 32)), "sh", "-c", line)
	_ = p.cmd.Wait()
	if _, err := program.WriteString("END\n"); err != nil {
		t.Fatal(err)
	}
	program.Close()
	p.await("END\r\n")
	screen, _ = strings.CutSuffix(p.screen.String(), "END\r\n")
	return screen, p.cmd.ProcessState.ExitCode()
}

func TestGetAtTerminal(t *testing.T) {
	g := newGetter(t)
	binary := g.registry.URL + "/v2/library/demo/blobs/" + g.registry.AddImage("library/demo", "binary", []byte("\x1b]0;title\a\x00"))[0]
	folder := t.TempDir()
	file := filepath.Join(folder, "model.bin")
	for name, tt := range map[string]struct {
		line string
		code int
		want string // on the screen; "" if nothing
	}{
		"text":           {"countersign get " + g.blob, exitDone, blobText},
		"binary":         {"countersign get " + binary, exitFailed, "countersign: the content is not text for a terminal"},
		"binary forced":  {"countersign get -o - " + binary, exitDone, "\x1b]0;title\a\x00"},
		"binary in pipe": {"countersign get " + binary + " | od -c >" + folder + "/octal; test -s " + folder + "/octal", exitDone, "11 B of 11 B, 100 %"},
		"progress":       {"countersign get -o " + file + " " + g.blob, exitDone, "28 B of 28 B, 100 %"},
		"quiet":          {"countersign get --quiet -o " + file + " " + g.blob, exitDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			screen, code := atTerminal(t, tt.line)
			if code != tt.code || !strings.Contains(screen, tt.want) || tt.want == "" && screen != "" {
				t.Errorf("exit code %d and screen %q; want %d and %q", code, screen, tt.code, tt.want)
			}
			if tt.code == exitFailed && strings.ContainsAny(screen, "\x1b\a\x00") {
				t.Errorf("the terminal obeyed the content: %q", screen)
			}
		})
	}
}
