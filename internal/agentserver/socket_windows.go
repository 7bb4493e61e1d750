package agentserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"strings"

	"github.com/Microsoft/go-winio"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

const pipePrefix = `\\.\pipe\`

// Listen makes the named pipe path, which only the current user can use. A pipe ends with
// its process, so a killed agent leaves none. It is an error if another program has a
// pipe of that name.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(strings.ToLower(path), pipePrefix) {
		err := fmt.Errorf("%s is no named pipe", printable.Text(path))
		return nil, signer.WithHint(err, signer.Hint{Do: "name one with --socket " + pipePrefix + "NAME"})
	}
	me, err := access.CurrentUser()
	if err != nil {
		return nil, err
	}
	l, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: "D:P(A;;GA;;;" + me.String() + ")"})
	return l, printable.Error(err)
}

// DefaultPath returns the path of a pipe for the current user, which is the same for each
// call. Nothing needs to be removed.
func DefaultPath() (path string, remove func(), err error) {
	me, err := access.CurrentUser()
	if err != nil {
		return "", nil, err
	}
	return pipePrefix + "countersign-agent-" + me.String(), func() {}, nil
}

// TempPath returns the path of a pipe with a random name. Nothing needs to be removed.
func TempPath() (path string, remove func(), err error) {
	return pipePrefix + "countersign-agent-" + rand.Text(), func() {}, nil
}
