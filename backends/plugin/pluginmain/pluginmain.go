// Package pluginmain makes a plugin for countersign of any [signer.Backend]. A
// whole plugin is a backend and this main function:
//
//	func main() { pluginmain.Main("My store 1.0", &store{}) }
//
// Install the program as countersign-backend-NAME in a folder of PATH. countersign
// then opens its keys as plugin:NAME:KEY, and "countersign plugin test NAME" checks
// it. docs/plugin-protocol.md specifies the messages.
//
// The program runs once for each call. So a backend should learn only the key that
// it is asked for.
package pluginmain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/countersign/countersign/internal/pluginwire"
	"github.com/countersign/countersign/signer"
)

// Main reads the request of countersign from stdin, lets b answer it, writes the
// reply to stdout and ends the program. The plugin can make, list and delete keys if
// b is a [signer.Generator], [signer.Lister] or [signer.Deleter]. name describes the
// store and its version to people.
//
// The context of b's methods ends at the deadline of the request. The errors of
// package signer and the hints in b's errors reach the user.
func Main(name string, b signer.Backend) {
	if err := Serve(context.Background(), name, b, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%v\nThis program is a plugin of countersign: try \"countersign plugin list\".\n", err)
		os.Exit(1)
	}
}

// Serve answers one request, as [Main] does. It returns an error if there is no
// request, or if the reply cannot be written.
func Serve(ctx context.Context, name string, b signer.Backend, stdin io.Reader, stdout io.Writer) error {
	data, err := io.ReadAll(io.LimitReader(stdin, pluginwire.MaxRequest+1))
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	if len(data) > pluginwire.MaxRequest {
		return fmt.Errorf("the request has more than %d bytes", pluginwire.MaxRequest)
	}
	r, err := pluginwire.ParseRequest(data)
	if err != nil {
		return err
	}
	reply := pluginwire.Reply{Version: pluginwire.Version, ID: r.ID}
	if reply.Result, err = answer(ctx, name, b, r); err != nil {
		reply.Result, reply.Error = nil, newError(err)
	}
	return json.NewEncoder(stdout).Encode(reply)
}

func answer(ctx context.Context, name string, b signer.Backend, r pluginwire.Request) (*pluginwire.Result, error) {
	if !r.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.Deadline)
		defer cancel()
	}
	if !r.MayPrompt && r.Passphrase == nil { // the answer to a prompt is at hand otherwise
		ctx = signer.WithoutPrompt(ctx)
	}
	ctx = context.WithValue(ctx, requestKey{}, r.Passphrase)
	switch r.Op {
	case pluginwire.Describe:
		return describe(name, b), nil
	case pluginwire.Public:
		return public(b.Open(ctx, r.Key))
	case pluginwire.Sign:
		return sign(ctx, b, r)
	case pluginwire.Generate:
		if g, ok := b.(signer.Generator); ok {
			return public(g.Generate(ctx, r.Key))
		}
	case pluginwire.List:
		if l, ok := b.(signer.Lister); ok {
			return list(ctx, l)
		}
	case pluginwire.Delete:
		if d, ok := b.(signer.Deleter); ok {
			return new(pluginwire.Result), d.Delete(ctx, r.Key)
		}
	}
	return nil, fmt.Errorf("%w: this plugin answers %s", signer.ErrUnsupported, strings.Join(describe(name, b).Ops, ", "))
}

func describe(name string, b signer.Backend) *pluginwire.Result {
	ops := []string{pluginwire.Describe, pluginwire.Public, pluginwire.Sign}
	if _, ok := b.(signer.Lister); ok {
		ops = append(ops, pluginwire.List)
	}
	if _, ok := b.(signer.Generator); ok {
		ops = append(ops, pluginwire.Generate)
	}
	if _, ok := b.(signer.Deleter); ok {
		ops = append(ops, pluginwire.Delete)
	}
	return &pluginwire.Result{Name: name, Ops: ops}
}

func public(k signer.Signer, err error) (*pluginwire.Result, error) {
	if err != nil {
		return nil, err
	}
	return &pluginwire.Result{PublicKey: signer.AuthorizedKey(k.PublicKey())}, nil
}

func sign(ctx context.Context, b signer.Backend, r pluginwire.Request) (*pluginwire.Result, error) {
	k, err := b.Open(ctx, r.Key)
	if err != nil {
		return nil, err
	}
	algorithm := r.Algorithm
	if algorithm == "" {
		algorithm = signer.Algorithms(k)[0]
	}
	sig, err := signer.SignAlgorithm(ctx, k, r.Payload, algorithm)
	if err != nil {
		return nil, err
	}
	return &pluginwire.Result{Signature: sig.Blob}, nil
}

func list(ctx context.Context, l signer.Lister) (*pluginwire.Result, error) {
	infos, err := l.List(ctx)
	if err != nil {
		return nil, err
	}
	result := new(pluginwire.Result)
	for _, info := range infos {
		key := pluginwire.Key{Name: info.Name, Comment: info.Comment}
		if info.PublicKey != nil {
			key.PublicKey = signer.AuthorizedKey(info.PublicKey)
		}
		result.Keys = append(result.Keys, key)
	}
	return result, nil
}

type requestKey struct{}

// Passphrase is a [signer.PassphraseFunc] for the backend of a plugin: countersign
// asks the person, or reads the file that the person named. At the first call of a
// key the answer is not known yet: the error tells countersign to ask and to start
// the program once more. A backend returns this error as it is, or wraps it.
func Passphrase(ctx context.Context, prompt string) ([]byte, error) {
	if answer, _ := ctx.Value(requestKey{}).(pluginwire.Secret); answer != nil {
		return answer(), nil
	}
	return nil, &promptError{prompt}
}

type promptError struct{ prompt string }

func (e *promptError) Error() string { return signer.ErrLocked.Error() + ": it needs " + e.prompt }
func (e *promptError) Unwrap() error { return signer.ErrLocked }

func newError(err error) *pluginwire.Error {
	reported := pluginwire.NewError(err)
	if e, ok := errors.AsType[*promptError](err); ok {
		reported.Prompt = e.prompt
	}
	return reported
}
