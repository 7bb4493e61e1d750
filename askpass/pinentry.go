package askpass

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// Error codes of libgpg-error (err-codes.h.in), the lower 16 bits of the number in ERR.
const (
	codeTimeout       = 62
	codeCanceled      = 99
	codeNotConfirmed  = 114
	codeFullyCanceled = 198
)

func findPinentry() signer.PassphraseFunc {
	if !hasDisplay() && os.Getenv("GPG_TTY") == "" && runtime.GOOS != "darwin" && runtime.GOOS != "windows" {
		return nil
	}
	names := []string{"pinentry"}
	if runtime.GOOS == "darwin" {
		names = []string{"pinentry-mac", "pinentry"}
	}
	for _, name := range names {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		return told("pinentry", func(ctx context.Context, prompt string) ([]byte, error) {
			return runPinentry(ctx, program, prompt)
		})
	}
	return nil
}

// runPinentry asks with the Assuan protocol, as GnuPG's manual "The Pinentry Protocol"
// describes it (pinentry.info, chapter "Protocol").
func runPinentry(ctx context.Context, program, prompt string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := command(ctx, program)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, printable.Error(err)
	}
	stop := context.AfterFunc(ctx, func() { out.Close() }) // a program that it started may keep it open
	secret, err := (&pinentry{in, bufio.NewScanner(io.LimitReader(out, maxOutput))}).ask(prompt)
	cancel()
	stop()
	_ = cmd.Wait() // it was killed
	if err != nil {
		return nil, fmt.Errorf("pinentry: %w", err)
	}
	return secret, nil
}

// A pinentry is a running pinentry: commands go to it and answers come from it.
type pinentry struct {
	to   io.Writer
	from *bufio.Scanner
}

func (p pinentry) ask(prompt string) ([]byte, error) {
	if _, err := p.answer(); err != nil { // the greeting
		return nil, err
	}
	if tty := os.Getenv("GPG_TTY"); tty != "" {
		for _, option := range []string{"ttyname=" + tty, "ttytype=" + os.Getenv("TERM")} {
			if _, err := p.send("OPTION " + option); err != nil {
				return nil, err
			}
		}
	}
	for _, command := range []string{"SETDESC " + escape(prompt), "SETPROMPT Passphrase:"} {
		if _, err := p.send(command); err != nil {
			return nil, err
		}
	}
	return p.send("GETPIN")
}

func (p pinentry) send(command string) ([]byte, error) {
	if _, err := io.WriteString(p.to, command+"\n"); err != nil {
		return nil, printable.Error(err)
	}
	return p.answer()
}

// answer reads lines until OK or ERR, and returns the data of the lines between.
func (p pinentry) answer() ([]byte, error) {
	var data []byte
	for p.from.Scan() {
		word, rest, _ := strings.Cut(p.from.Text(), " ")
		switch word {
		case "OK":
			return data, nil
		case "ERR":
			return nil, answerError(rest)
		case "D":
			part, err := url.PathUnescape(rest)
			if err != nil {
				return nil, errors.New("a malformed line of data")
			}
			data = append(data, part...)
			if len(data) > maxPassphrase {
				return nil, errors.New("an answer that is too long for a passphrase")
			}
		case "S", "#", "": // status and comments
		default:
			return nil, errors.New("an answer that is not of the protocol")
		}
	}
	return nil, errors.New("it ended without an answer")
}

func answerError(text string) error {
	number, text, _ := strings.Cut(text, " ")
	code, _ := strconv.ParseUint(number, 10, 32)
	text = printable.Text(text)
	switch code & 0xffff {
	case codeCanceled, codeNotConfirmed, codeFullyCanceled:
		return fmt.Errorf("%w: %s", signer.ErrDenied, text)
	case codeTimeout:
		return fmt.Errorf("%w: %s", context.DeadlineExceeded, text)
	}
	return errors.New(text)
}

// escape writes "%" and line breaks as Assuan has them.
func escape(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}
