package pluginmain_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"strings"

	"github.com/countersign/countersign/backends/plugin/pluginmain"
	"github.com/countersign/countersign/signer"
)

// A store has one key, called "demo".
type store struct{}

func (store) Open(_ context.Context, name string) (signer.Signer, error) {
	if name != "demo" {
		return nil, signer.WithHint(signer.ErrNotFound, signer.Hint{Do: "use the key demo"})
	}
	return signer.New(ed25519.NewKeyFromSeed(make([]byte, 32)))
}

// The main function of a plugin is one line.
func Example() {
	main := func() { pluginmain.Main("Demo store 1.0", store{}) }
	_ = main
}

func ExampleServe() {
	for _, request := range []string{
		`{"v":1,"id":"00112233445566778899aabbccddeeff","op":"describe"}`,
		`{"v":1,"id":"00112233445566778899aabbccddeeff","op":"public","key":"demo"}`,
		`{"v":1,"id":"00112233445566778899aabbccddeeff","op":"public","key":"other"}`,
	} {
		if err := pluginmain.Serve(context.Background(), "Demo store 1.0", store{}, strings.NewReader(request), os.Stdout); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// {"v":1,"id":"00112233445566778899aabbccddeeff","result":{"name":"Demo store 1.0","ops":["describe","public","sign"]}}
	// {"v":1,"id":"00112233445566778899aabbccddeeff","result":{"public_key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"}}
	// {"v":1,"id":"00112233445566778899aabbccddeeff","error":{"code":"not_found","message":"key not found","do":"use the key demo"}}
}
