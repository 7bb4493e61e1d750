// Package pluginwire is the form of the messages between countersign and a plugin,
// version 1. docs/plugin-protocol.md specifies it.
package pluginwire

import (
	"encoding/json"
	"time"
)

const (
	// Version is the number of the protocol, the member "v" of each message.
	Version = 1

	// MaxReply is the limit of a reply, in bytes.
	MaxReply = 1 << 20

	// MaxRequest is the limit of a request for a plugin in Go, in bytes.
	MaxRequest = 64 << 20
)

// The operations.
const (
	Describe = "describe"
	Public   = "public"
	Sign     = "sign"
	List     = "list"
	Generate = "generate"
	Delete   = "delete"
)

// A Request is the message that a plugin reads. A member that an operation does not
// use is absent.
type Request struct {
	Version    int       `json:"v"`
	ID         string    `json:"id"` // 32 hexadecimal digits
	Op         string    `json:"op"`
	Key        string    `json:"key,omitempty"`
	Payload    []byte    `json:"payload,omitzero"`     // of sign: the whole message
	Algorithm  string    `json:"algorithm,omitempty"`  // of sign, for RSA keys; absent: "rsa-sha2-512"
	Passphrase Secret    `json:"passphrase,omitempty"` // the answer to Error.Prompt
	MayPrompt  bool      `json:"may_prompt,omitempty"` // absent: the plugin must not ask a person
	Deadline   time.Time `json:"deadline"`             // RFC 3339
}

// A Secret is a text that the fmt package does not print. Nil stands for none.
type Secret func() []byte

// MarshalJSON returns the secret in base64, or null.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("null"), nil
	}
	return json.Marshal(s())
}

// UnmarshalJSON reads the form that MarshalJSON writes.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var secret []byte
	if err := json.Unmarshal(data, &secret); err != nil || secret == nil {
		return err
	}
	*s = func() []byte { return secret }
	return nil
}

// A Reply is the message that a plugin writes. It has either a Result or an Error.
type Reply struct {
	Version int     `json:"v"`
	ID      string  `json:"id"` // of the request
	Result  *Result `json:"result,omitempty"`
	Error   *Error  `json:"error,omitempty"`
}

// A Result has the members of all operations.
type Result struct {
	Name      string   `json:"name,omitempty"`       // of describe, for people
	Ops       []string `json:"ops,omitempty"`        // of describe
	PublicKey string   `json:"public_key,omitempty"` // of public and generate: "ssh-ed25519 AAAA..."
	Signature []byte   `json:"signature,omitempty"`  // of sign
	Keys      []Key    `json:"keys,omitempty"`       // of list
}

// A Key is an entry of the result of list.
type Key struct {
	Name      string `json:"key"`
	PublicKey string `json:"public_key,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// An Error is the error of an operation.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Do      string `json:"do,omitempty"`     // the remedy: a command or an action
	Prompt  string `json:"prompt,omitempty"` // with "locked": names the passphrase that the plugin needs
}
