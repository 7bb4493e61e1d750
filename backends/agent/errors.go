package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// The sections of docs/agent.md that explain the states of an agent.
const (
	topicNoAgent  = "agent#no-agent"
	topicSilent   = "agent#no-answer"
	topicEmpty    = "agent#empty-or-locked"
	topicRefused  = "agent#refused"
	topicNames    = "agent#which-key"
	topicProtocol = "agent#not-an-agent"
)

// errNoAgent: nothing names an agent.
var errNoAgent = signer.WithHint(
	fmt.Errorf("%w: no SSH agent: SSH_AUTH_SOCK is not set", signer.ErrUnavailable),
	signer.Hint{Do: "if you use an SSH agent, name its socket in the configuration: [agent] socket", See: topicNoAgent},
)

// errMayAsk: nobody waits for the signature, and the agent may ask a person.
var errMayAsk = fmt.Errorf("%w: the agent may ask a person, and this signature is made in the background", signer.ErrLocked)

func noHome(err error) error {
	err = fmt.Errorf("%w: no home directory for the ~ in the agent's socket: %w", signer.ErrUnavailable, err)
	return signer.WithHint(err, signer.Hint{Do: "set HOME, or give the absolute path of the socket"})
}

// explainDial explains why there is no connection to socket.
func explainDial(ctx context.Context, socket string, err error) error {
	at := printable.Text(socket)
	switch {
	case ctx.Err() != nil:
		return noAnswer(socket, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded): // a dialer may notice the end before ctx
		return noAnswer(socket, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		err = fmt.Errorf("%w: no SSH agent answers at %s", signer.ErrUnavailable, at)
		return signer.WithHint(err, signer.Hint{Do: "start the agent again, or log in again if ssh -A forwarded it", See: topicNoAgent})
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: this user may not use the SSH agent at %s", signer.ErrDenied, at)
		return signer.WithHint(err, signer.Hint{Do: "run this as the user who started the agent", See: topicNoAgent})
	}
	err = fmt.Errorf("no connection to the SSH agent at %s: %w", at, err)
	return signer.WithHint(err, signer.Hint{Do: "check the path of the socket", See: topicNoAgent})
}

// noAnswer: the context ended first. cause is its error.
func noAnswer(socket string, cause error) error {
	err := fmt.Errorf("the SSH agent at %s has not answered: %w", printable.Text(socket), cause)
	return signer.WithHint(err, signer.Hint{Do: "look for a window in which the agent asks you, also for another program; otherwise start the agent again", See: topicSilent})
}

func hungUp(socket string, cause error) error {
	err := fmt.Errorf("the SSH agent at %s closed the connection without an answer: %w", printable.Text(socket), cause)
	return signer.WithHint(err, signer.Hint{Do: "look whether the agent still runs; behind ssh -A, look on your own machine", See: topicSilent})
}

func garbled(socket string, cause error) error {
	err := fmt.Errorf("%s: %w", printable.Text(socket), cause)
	return signer.WithHint(err, signer.Hint{Do: "check that this is the socket of an SSH agent: SSH_AUTH_SOCK=" + printable.Text(socket) + " ssh-add -l", See: topicProtocol})
}

func refusedList(socket string) error {
	err := fmt.Errorf("%w: the SSH agent at %s refuses to list its keys", signer.ErrLocked, printable.Text(socket))
	return signer.WithHint(err, signer.Hint{Do: "unlock the agent", See: topicEmpty})
}

// isEmpty: an agent of OpenSSH that is locked lists no keys, and does not say so.
func (l listing) isEmpty() error {
	err := fmt.Errorf("%w: the SSH agent at %s lists no keys: it has none, or it is locked", signer.ErrNotFound, l.agent)
	return signer.WithHint(err, signer.Hint{Do: "add a key with ssh-add, or unlock the agent with ssh-add -X", See: topicEmpty})
}

// isEmptyNow: the agent had the key when the key was opened.
func (l listing) isEmptyNow(fingerprint string) error {
	err := fmt.Errorf("%w: the SSH agent at %s refused to sign with %s and lists no keys: it was locked, or its keys were removed", signer.ErrLocked, l.agent, fingerprint)
	return signer.WithHint(err, signer.Hint{Do: "unlock the agent with ssh-add -X, or add the key again with ssh-add", See: topicEmpty})
}

func (l listing) lacks(name string) error {
	what := "no key that can be used"
	if name != "" {
		what = "no key " + printable.Text(name)
	}
	err := fmt.Errorf("%w: the SSH agent at %s has %s; it has %s", signer.ErrNotFound, l.agent, what, describe(l.entries))
	return signer.WithHint(err, signer.Hint{Do: "add the key with ssh-add, or name one of the others", See: topicNames})
}

// several is an error of no kind: which key is meant is not known, so a search must
// not go on to a weaker key.
func (l listing) several(name string, keys []entry) error {
	what := "keys"
	if name != "" {
		what = "keys with the comment " + printable.Text(name)
	}
	err := fmt.Errorf("the SSH agent at %s has %d %s: %s", l.agent, len(keys), what, describe(keys))
	return signer.WithHint(err, signer.Hint{Do: "name the key by its fingerprint, such as agent:" + keys[0].fingerprint, See: topicNames})
}

func (l listing) cannotUse(keys []entry) error {
	err := fmt.Errorf("%w: the SSH agent at %s has only %s, and signatures of such keys are not accepted here", signer.ErrUnsupported, l.agent, describe(keys))
	return signer.WithHint(err, signer.Hint{Do: "add an Ed25519, ECDSA or RSA key without a certificate", See: topicNames})
}

func (l listing) exists(e entry) error {
	err := fmt.Errorf("%w: the SSH agent at %s has %s, and it was left as it is", signer.ErrExists, l.agent, describe([]entry{e}))
	return signer.WithHint(err, signer.Hint{Do: "choose another name, or delete that key first: countersign key delete agent:" + e.fingerprint})
}

// refusedToSign has three causes that the protocol does not tell apart.
func (l listing) refusedToSign(fingerprint string) error {
	err := fmt.Errorf("%w: the SSH agent at %s refused to sign with %s: a person refused, the key is limited to certain SSH hosts (ssh-add -h), or gpg-agent could not ask for the passphrase",
		signer.ErrDenied, l.agent, fingerprint)
	return signer.WithHint(err, signer.Hint{Do: "confirm the signature, or use a key without such limits", See: topicRefused})
}

func (l listing) refusedToAdd() error {
	err := fmt.Errorf("%w: the SSH agent at %s refused the new key: it is locked, it takes no keys from other programs, or it cannot limit their lifetime or ask for confirmation",
		signer.ErrDenied, l.agent)
	return signer.WithHint(err, signer.Hint{Do: "unlock it with ssh-add -X, or add the key in the agent's own program", See: topicRefused})
}

// kept: the agent still has a key that it was told to remove.
func (l listing) kept(fingerprint string, refused bool) error {
	if refused {
		err := fmt.Errorf("%w: the SSH agent at %s refused to remove %s", signer.ErrDenied, l.agent, fingerprint)
		return signer.WithHint(err, signer.Hint{Do: "remove it in the agent's own program", See: topicRefused})
	}
	err := fmt.Errorf("%w: the SSH agent at %s reported that it removed %s, and still has it, as gpg-agent does", signer.ErrUnsupported, l.agent, fingerprint)
	return signer.WithHint(err, signer.Hint{Do: "remove it in the agent's own program", See: topicRefused})
}
