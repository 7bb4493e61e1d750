package challenge_test

import (
	"fmt"

	"github.com/countersign/countersign/challenge"
)

func ExampleGuard() {
	fmt.Println(challenge.Guard([]byte("POST,/api/me?ts=1700000000"), false))
	fmt.Println(challenge.Guard([]byte("SSHSIG\x00\x00\x00\x03git..."), true))
	// Output:
	// <nil>
	// refused to sign: the signature would be good for a file or commit, as ssh-keygen -Y signs it (sshsig): use a program made for that
}
