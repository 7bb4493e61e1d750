package agent

import (
	"testing"
	"time"
)

// TestDefaultTimeout holds the time that the documentation of Backend.Timeout promises to
// a person who looks for the agent's dialog.
func TestDefaultTimeout(t *testing.T) {
	if defaultTimeout != time.Minute {
		t.Errorf("the time is %v, and the documentation says one minute", defaultTimeout)
	}
}
