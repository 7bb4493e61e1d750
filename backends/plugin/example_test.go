package plugin_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/signer"
)

func ExampleBackend() {
	keys := &plugin.Backend{Programs: map[string]plugin.Program{
		"store": {Path: "/usr/local/libexec/countersign-backend-store"},
	}}
	_, err := keys.Open(context.Background(), "store:ollama")
	fmt.Println(errors.Is(err, signer.ErrUnavailable))
	fmt.Println(err)
	// Output:
	// true
	// key store unavailable: the plugin's program /usr/local/libexec/countersign-backend-store is not there
}
