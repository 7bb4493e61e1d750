//go:build !windows

package agent

import (
	"context"
	"net"
)

const defaultSocket = ""

func dial(ctx context.Context, socket string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", socket)
}
