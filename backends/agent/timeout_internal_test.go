package agent

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/countersign/countersign/signer"
)

// TestDefaultTimeout holds the time that the documentation of Backend.Timeout promises to
// a person who looks for the agent's dialog.
func TestDefaultTimeout(t *testing.T) {
	if defaultTimeout != time.Minute {
		t.Errorf("the time is %v, and the documentation says one minute", defaultTimeout)
	}
}

// TestDialNoticesTheEndFirst has a dialer that gives up because the time is over, while the
// context does not know that yet.
func TestDialNoticesTheEndFirst(t *testing.T) {
	dialer := net.Dialer{Deadline: time.Unix(1, 0)}
	_, timeout := dialer.DialContext(t.Context(), "unix", "/absent/socket")
	err := explainDial(t.Context(), "/absent/socket", timeout)
	if hint, _ := signer.HintOf(err); !errors.Is(err, context.DeadlineExceeded) || hint.See != topicSilent {
		t.Errorf("got %v with the topic %q, want %q", err, hint.See, topicSilent)
	}
}
