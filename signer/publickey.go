package signer

import (
	"bytes"
	"strings"

	"golang.org/x/crypto/ssh"
)

// AuthorizedKey returns key as a line of authorized_keys (sshd(8)) without a
// comment and without a newline: "ssh-ed25519 AAAA...".
func AuthorizedKey(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}

// SameKey reports whether a and b are the same public key. It reports false if
// one of them is nil.
func SameKey(a, b ssh.PublicKey) bool {
	return a != nil && b != nil && bytes.Equal(a.Marshal(), b.Marshal())
}
