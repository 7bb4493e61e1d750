package spelling_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/spelling"
)

func TestNearest(t *testing.T) {
	known := []string{"whoami", "key", "keyring", "env", "file"}
	for name, want := range map[string]string{
		"whoam":                             "whoami",
		"whaomi":                            "whoami",
		"keyrnig":                           "keyring",
		"keyrng":                            "keyring",
		"kye":                               "key",
		"envv":                              "env",
		"file":                              "file",
		"":                                  "",
		"x":                                 "",
		"vault":                             "",
		"fi":                                "file",
		"abc":                               "",
		"keyring" + strings.Repeat("g", 40): "",
	} {
		if got := spelling.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := spelling.Nearest("key", nil); got != "" {
		t.Errorf("of nothing, %q is the nearest", got)
	}
}
