package agentserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// The numbers of messages (draft-ietf-sshm-ssh-agent, "Message numbers").
const (
	msgFailure          = 5
	msgSuccess          = 6
	msgList             = 11 // SSH_AGENTC_REQUEST_IDENTITIES
	msgListAnswer       = 12
	msgSign             = 13
	msgSignAnswer       = 14
	msgLock             = 22
	msgUnlock           = 23
	msgExtension        = 27
	msgExtensionFailure = 28
)

// maxMessage is the longest message that is read, as in OpenSSH's agent. Clients hash
// files and commits before they ask for a signature.
const maxMessage = 256 << 10

// readMessage reads a message without its length. The memory that it uses grows with
// the bytes that arrive, not with the length that a client announces.
func readMessage(r io.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(header[:]))
	if length == 0 || length > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes: at most %d are allowed", length, maxMessage)
	}
	msg, err := io.ReadAll(io.LimitReader(r, length))
	if err == nil && int64(len(msg)) < length {
		err = io.ErrUnexpectedEOF
	}
	return msg, err
}

func writeMessage(w io.Writer, msg []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(msg))), msg...))
	return err
}

type listAnswer struct {
	Count uint32 `sshtype:"12"`
	Keys  []byte `ssh:"rest"`
}

type listedKey struct {
	Key     []byte
	Comment string
}

type signRequest struct {
	Key   []byte `sshtype:"13"`
	Data  []byte
	Flags uint32
}

type signAnswer struct {
	Signature []byte `sshtype:"14"`
}

type lockRequest struct {
	Passphrase []byte `sshtype:"22|23"`
}

type extensionRequest struct {
	Name     string `sshtype:"27"`
	Contents []byte `ssh:"rest"`
}

// bindRequest is the contents of session-bind@openssh.com (PROTOCOL.agent of OpenSSH,
// section 1).
type bindRequest struct {
	HostKey   []byte
	SessionID []byte
	Signature []byte
	Forwarded bool
}

// A login is the text that a client signs for the methods "publickey" (RFC 4252,
// section 7) and "publickey-hostbound-v00@openssh.com" (PROTOCOL of OpenSSH).
type login struct {
	SessionID []byte
	User      string
	HostKey   []byte // nil for "publickey"
}

type loginText struct {
	SessionID    []byte
	Request      byte // SSH_MSG_USERAUTH_REQUEST
	User         string
	Service      string
	Method       string
	HasSignature bool
	Algorithm    string
	Key          []byte
	Rest         []byte `ssh:"rest"`
}

// parseLogin reads the text of a login whole.
func parseLogin(text []byte) (login, error) {
	const userAuthRequest = 50
	var t loginText
	if err := ssh.Unmarshal(text, &t); err != nil {
		return login{}, errors.New("the text of the login is malformed")
	}
	l := login{SessionID: t.SessionID, User: t.User}
	known := false
	switch t.Method {
	case "publickey":
		known = len(t.Rest) == 0
	case "publickey-hostbound-v00@openssh.com":
		var host struct{ Key []byte }
		known = ssh.Unmarshal(t.Rest, &host) == nil
		l.HostKey = host.Key
	}
	if !known || t.Request != userAuthRequest || t.Service != "ssh-connection" || !t.HasSignature {
		return login{}, errors.New("the text of the login is malformed, or its method is not publickey")
	}
	return l, nil
}

// checkSSHSIG checks that text is the whole text of an SSHSIG (PROTOCOL.sshsig,
// "Signed Data").
func checkSSHSIG(text []byte) error {
	var t struct {
		Magic     [6]byte
		Namespace string
		Reserved  []byte
		Hash      string
		Digest    []byte
	}
	sizes := map[string]int{"sha256": 32, "sha512": 64}
	if err := ssh.Unmarshal(text, &t); err != nil || t.Namespace == "" || sizes[t.Hash] == 0 || len(t.Digest) != sizes[t.Hash] {
		return errors.New("the text of the file signature is malformed")
	}
	return nil
}

// algorithmOf returns the algorithm that a client asks for. The flags count for RSA
// only. Without them the client asks for SHA-1.
func algorithmOf(pub ssh.PublicKey, flags uint32) (string, error) {
	const sha256, sha512 = 2, 4 // SSH_AGENT_RSA_SHA2_256 and SSH_AGENT_RSA_SHA2_512
	switch {
	case pub.Type() != ssh.KeyAlgoRSA:
		return pub.Type(), nil
	case flags&sha512 != 0:
		return ssh.KeyAlgoRSASHA512, nil
	case flags&sha256 != 0:
		return ssh.KeyAlgoRSASHA256, nil
	}
	return "", errors.New("the client asks for a signature with SHA-1")
}
