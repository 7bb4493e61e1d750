package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/pluginwire"
	"github.com/countersign/countersign/internal/printable"
)

const (
	// maxStderr is the part of a program's stderr that is kept, in bytes.
	maxStderr = 4 << 10

	// pipeDelay is how long a process that left the program's group can hold up a call
	// by keeping the program's pipes open. It is long enough to read the rest of the
	// pipes on a busy machine.
	pipeDelay = 5 * time.Second
)

// output is the output of a program.
type output struct {
	reply  []byte
	stderr []byte
	failed error // the exit status, if it is not 0
}

// run starts the program, writes request to its stdin and returns its output. When
// it returns, the program's process group is dead and its pipes are closed. The
// error says that the program could not be started, that its reply is too long, or
// that ctx ended.
func run(ctx context.Context, program Program, request []byte) (output, error) {
	cmd := &exec.Cmd{
		Path: program.Path,
		Args: []string{program.Path},
		Env:  environment(program.Environment),
		Dir:  rootDir(),
	}
	var group processGroup
	stdout := &limitedBuffer{limit: pluginwire.MaxReply, full: group.kill}
	stderr := &limitedBuffer{limit: maxStderr}
	start, err := connect(cmd, request, stdout, stderr)
	if err == nil {
		err = group.start(cmd)
	}
	if err != nil {
		return output{}, fmt.Errorf("it cannot be started: %w", printable.Error(err))
	}
	copied := start()
	stop := context.AfterFunc(ctx, group.kill)
	defer stop()
	group.awaitExit()
	group.end() // also the processes that the program left behind
	select {
	case <-copied:
	case <-ctx.Done():
	case <-time.After(pipeDelay):
	}
	err = cmd.Wait() // closes the pipes
	<-copied
	out := output{reply: stdout.data, stderr: stderr.data}
	switch {
	case ctx.Err() != nil:
		return output{}, ctx.Err()
	case stdout.isFull:
		return out, fmt.Errorf("its reply has more than %d bytes", pluginwire.MaxReply)
	case err != nil:
		out.failed = fmt.Errorf("its program ended with %w", err)
	}
	return out, nil
}

// connect makes the pipes of cmd. The result starts the copying, and returns a
// channel that is closed when all has been copied or all pipes are closed.
func connect(cmd *exec.Cmd, request []byte, stdout, stderr io.Writer) (start func() <-chan struct{}, err error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	failures, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	return func() <-chan struct{} {
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = in.Write(request) // a program may end without reading it
			in.Close()
		})
		all.Go(func() { _, _ = io.Copy(stdout, out) })
		all.Go(func() { _, _ = io.Copy(stderr, failures) })
		copied := make(chan struct{})
		go func() {
			all.Wait()
			close(copied)
		}()
		return copied
	}, nil
}

// A limitedBuffer keeps the first bytes that are written to it.
type limitedBuffer struct {
	limit  int
	full   func() // is called when there is more; nil: the rest is dropped
	data   []byte
	isFull bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := b.limit - len(b.data)
	b.data = append(b.data, p[:min(room, len(p))]...)
	if len(p) > room {
		if b.isFull = true; b.full != nil {
			b.full()
			return 0, errors.New("too long")
		}
	}
	return len(p), nil
}

// secretWord is in lines that may hold a secret. A plugin that reads a PIN by itself
// may print it, and nobody here can tell.
var secretWord = regexp.MustCompile(`(?i)\bpin|pass(word|phrase|code)|secret|token|private key|seed\b`)

// quoteStderr returns the program's stderr as the end of an error, or "". It leaves
// out the passphrase and the lines that may hold another secret.
func (o output) quoteStderr(passphrase pluginwire.Secret) string {
	var lines []string
	left := false
	for line := range strings.Lines(redact(string(o.stderr), passphrase)) {
		line = printable.Text(line)
		if secretWord.MatchString(line) {
			left = true
		} else if line != "" {
			lines = append(lines, line)
		}
	}
	text := printable.Text(strings.Join(lines, "; "))
	if left {
		text = strings.TrimPrefix(text+"; lines that may hold a secret are left out", "; ")
	}
	if text == "" {
		return ""
	}
	return "; on stderr: " + text
}
