//go:build !unix && !windows

package agentserver

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"github.com/countersign/countersign/signer"
)

func errSystem() error {
	return fmt.Errorf("%w: countersign agent needs a socket with permissions, which %s lacks", signer.ErrUnsupported, runtime.GOOS)
}

// Listen returns [signer.ErrUnsupported].
func Listen(context.Context, string) (net.Listener, error) { return nil, errSystem() }

// DefaultPath returns [signer.ErrUnsupported].
func DefaultPath() (path string, remove func(), err error) { return "", nil, errSystem() }

// TempPath returns [signer.ErrUnsupported].
func TempPath() (path string, remove func(), err error) { return "", nil, errSystem() }
