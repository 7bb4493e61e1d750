package agent

import (
	"context"
	"net"
	"strings"

	"github.com/Microsoft/go-winio"
)

// defaultSocket is the pipe of the service "OpenSSH Authentication Agent".
// 1Password uses the same pipe.
const defaultSocket = `\\.\pipe\openssh-ssh-agent`

// dial opens a named pipe, or a socket, as agents under WSL and Cygwin have it.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	if name := strings.ReplaceAll(socket, "/", `\`); strings.HasPrefix(name, `\\.\pipe\`) {
		return winio.DialPipeContext(ctx, name)
	}
	return new(net.Dialer).DialContext(ctx, "unix", socket)
}
