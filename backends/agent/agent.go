// Package agent signs with keys in an SSH agent: OpenSSH's ssh-agent, gpg-agent,
// 1Password, Secretive, KeePassXC, or an agent that ssh -A forwards. The private
// key stays in the agent.
//
// A name is the fingerprint of a key ("SHA256:..."), its comment, or empty for the
// only key that can be used. Keys of the types Ed25519, ECDSA and RSA can be used. Certificates
// and the keys of security keys (sk-ssh-ed25519, sk-ecdsa) cannot: a server that
// knows a plain public key accepts the signature of neither.
//
// The protocol is that of draft-ietf-sshm-ssh-agent and OpenSSH's PROTOCOL.agent.
package agent

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// defaultTimeout is long because a person may have to find a dialog. While an agent
// asks a person for one program, it answers no other program.
const defaultTimeout = time.Minute

// A Backend signs with the keys of one agent. The zero value is ready: it uses the
// agent of the environment. Every call opens a connection of its own, so an agent
// that is restarted is used at once. Fields must not change after first use.
//
// A call ends when its context ends, also while the agent waits for a person. An
// agent that does not answer gives an error that wraps the context's, or
// context.DeadlineExceeded after Timeout.
type Backend struct {
	// Socket is the path of the agent's socket; it may begin with "~/". On Windows
	// it may also be the name of a pipe, such as \\.\pipe\openssh-ssh-agent. Empty: that in
	// SSH_AUTH_SOCK, and on Windows otherwise the pipe of OpenSSH.
	Socket string

	// Timeout is how long the agent may take to answer, with the time that a person
	// needs to confirm a signature; 0 means one minute.
	Timeout time.Duration

	// Lifetime is how long the agent keeps a key that Import adds, in whole seconds,
	// rounded up; 0 means no limit.
	Lifetime time.Duration

	// Confirm makes the agent ask a person before each signature with a key that
	// Import adds.
	Confirm bool

	mu        sync.Mutex
	importing chan struct{} // holds a value while Import runs
}

var _ interface {
	signer.Backend
	signer.Importer
	signer.Lister
	signer.Deleter
} = (*Backend)(nil)

// Open finds the key of that name in the list of the agent. It asks for no signature,
// so no person is asked. An RSA key signs with SHA-512, or with SHA-256 if the caller
// chooses that ([signer.AlgorithmSigner]).
//
// The Signer is a [signer.Staler]: it is stale after the agent refused a signature
// and no longer listed the key. For a context of [signer.WithoutPrompt] its Sign
// returns ErrLocked, because no call tells whether the agent will ask a person.
// Sign returns ErrDenied if the agent refuses.
//
// Errors: ErrUnavailable if there is no agent; ErrNotFound if the agent does not list
// the key, also because it is locked: OpenSSH's agent then lists nothing; ErrLocked
// if it refuses to list its keys; ErrDenied if this user may not use it;
// ErrUnsupported for a certificate, a security key or another type of key; ErrName
// for a malformed fingerprint. Several keys of that name, an agent that closes the
// connection and an answer that breaks the protocol are errors of no kind.
func (b *Backend) Open(ctx context.Context, name string) (signer.Signer, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	l, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	k, err := l.find(name)
	if err != nil {
		return nil, err
	}
	return b.newKey(k.pub), nil
}

// List returns the keys that can be used. The name of a key is its comment if no
// other key has that, and its fingerprint otherwise. Errors are those of Open, except
// that an agent without keys is no error.
func (b *Backend) List(ctx context.Context) ([]signer.Info, error) {
	l, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	infos := []signer.Info{}
	for _, k := range l.usable() {
		infos = append(infos, signer.Info{Name: l.nameOf(k), PublicKey: k.pub, Comment: k.comment})
	}
	slices.SortFunc(infos, func(a, b signer.Info) int { return cmp.Compare(a.Name, b.Name) })
	return infos, nil
}

// list asks the agent for its keys.
func (b *Backend) list(ctx context.Context) (listing, error) {
	socket, err := b.socket()
	if err != nil {
		return listing{}, err
	}
	keys, err := call(ctx, b, func(a sshagent.ExtendedAgent) ([]*sshagent.Key, error) { return a.List() })
	if err != nil {
		return listing{}, explainRefusal(err, refusedList(socket))
	}
	return newListing(socket, keys), nil
}

// newListing leaves out a key that the agent lists twice, as an agent does that joins
// others.
func newListing(socket string, keys []*sshagent.Key) listing {
	l := listing{agent: printable.Text(socket)}
	seen := map[string]bool{}
	for _, k := range keys {
		if blob := string(k.Blob); !seen[blob] {
			seen[blob] = true
			l.entries = append(l.entries, newEntry(k))
		}
	}
	return l
}

// An entry is a key that the agent lists. It can be used if pub is not nil.
type entry struct {
	pub         ssh.PublicKey
	kind        string
	fingerprint string
	comment     string
}

func newEntry(k *sshagent.Key) entry {
	e := entry{kind: k.Format, fingerprint: ssh.FingerprintSHA256(k), comment: strings.TrimSpace(k.Comment)}
	switch k.Format {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA:
		if pub, err := ssh.ParsePublicKey(k.Blob); err == nil {
			e.pub = pub
		}
	}
	return e
}
