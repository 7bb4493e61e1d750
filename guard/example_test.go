package guard_test

import (
	"fmt"

	"github.com/countersign/countersign/guard"
)

func ExampleCheck() {
	fmt.Println(guard.Check([]byte("POST,/api/me?ts=1700000000"), guard.Registry, guard.API))
	fmt.Println(guard.Check([]byte("SSHSIG\x00\x00\x00\x03git..."), guard.Registry, guard.API))
	// Output:
	// <nil>
	// refused to sign: the signature would be valid for a file or commit, as ssh-keygen -Y signs it (sshsig): only ollama.registry and ollama.api are allowed
}
