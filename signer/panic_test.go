package signer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

const pasted = "b3BlbnNzaC1rZXktdjEAAAAA-a-pasted-key"

// panics returns backends whose Open panics with or beside a secret.
func panics() map[string]signer.OpenFunc {
	return map[string]signer.OpenFunc{
		"a string": func(_ context.Context, name string) (signer.Signer, error) { panic("no such key: " + name) },
		"an error": func(_ context.Context, name string) (signer.Signer, error) { panic(errors.New(name)) },
		"nil":      func(context.Context, string) (signer.Signer, error) { panic(nil) },
		"an index": func(_ context.Context, name string) (signer.Signer, error) {
			_ = name[len(name)+len(pasted):]
			return nil, nil
		},
		"a nil pointer": func(context.Context, string) (signer.Signer, error) { return nil, *(*error)(nil) },
	}
}

func TestPanicInOpen(t *testing.T) {
	for name, backend := range panics() {
		keeper := &signer.Keeper{Backend: backend}
		for way, open := range map[string]func() (signer.Signer, error){
			"Mux": func() (signer.Signer, error) {
				return signer.Mux{"mine": backend}.Open(t.Context(), "mine:"+pasted)
			},
			"Keeper": func() (signer.Signer, error) { return keeper.Open(t.Context(), pasted) },
			"Keeper in a Mux": func() (signer.Signer, error) {
				return signer.Mux{"mine": keeper}.Open(t.Context(), "mine:"+pasted)
			},
			"Mux in a Keeper": func() (signer.Signer, error) {
				keys := &signer.Keeper{Backend: signer.Mux{"mine": backend}}
				return keys.Open(t.Context(), "mine:"+pasted)
			},
			"First": func() (signer.Signer, error) {
				m := signer.Mux{"mine": backend, "weaker": holds(newSigner(t))}
				return signer.First(t.Context(), m, "mine:"+pasted, "weaker:x")
			},
		} {
			t.Run(name+" through "+way, func(t *testing.T) {
				_, err := open()
				if err == nil {
					t.Fatal("got no error")
				}
				if signer.IsAbsent(err) {
					t.Errorf("the error lets a search go on: %v", err)
				}
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, pasted) {
					t.Errorf("the error repeats the name: %s", text)
				}
				if !strings.Contains(err.Error(), "signer_test.panics") || !strings.Contains(err.Error(), "panic_test.go:") {
					t.Errorf("the error does not tell where the panic was: %v", err)
				}
				if way != "Keeper" && !strings.Contains(err.Error(), "open mine:") {
					t.Errorf("the error does not tell the scheme: %v", err)
				}
			})
		}
	}
}

// A panic is an error for every caller that waits, and the next call tries again.
func TestPanicReachesAllCallers(t *testing.T) {
	want := newSigner(t)
	broken := true
	keys := &signer.Keeper{Backend: signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
		if broken {
			panic("broken")
		}
		return want, nil
	})}
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if _, err := keys.Open(t.Context(), "x"); err == nil {
				t.Error("got no error")
			}
		})
	}
	callers.Wait()
	broken = false
	if s, err := keys.Open(t.Context(), "x"); err != nil || unwrap(s) != want {
		t.Errorf("after the panic: got %v, %v", s, err)
	}
}

func TestPanicInSign(t *testing.T) {
	pub := newSigner(t).PublicKey()
	broken := signer.Func(pub, func(context.Context, []byte) (*ssh.Signature, error) { panic(pasted) })
	fromMux, err := signer.Mux{"mine": holds(broken)}.Open(t.Context(), "mine:x")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]signer.Signer{
		"a key of a Mux":      fromMux,
		"a key of x/crypto":   signer.FromSSH(panickingSSH{newSSH(t, signertest.NewKey(t))}),
		"the passphrase func": parseLocked(t, func(context.Context, string) ([]byte, error) { panic(pasted) }),
	} {
		_, err := s.Sign(t.Context(), []byte("message"))
		if err == nil || strings.Contains(err.Error(), pasted) || !strings.Contains(err.Error(), "panic in ") {
			t.Errorf("%s: got %v, want an error that tells of the panic without its value", name, err)
		}
	}
}

type panickingSSH struct{ ssh.Signer }

func (panickingSSH) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	panic(pasted)
}

func TestGoexit(t *testing.T) {
	_, err := signer.Await(t.Context(), func() (int, error) {
		runtime.Goexit()
		return 1, nil
	})
	if err == nil {
		t.Error("got no error for a function that ended its goroutine")
	}
}

func ExampleAwait() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // the caller gives up
	_, err := signer.Await(ctx, func() (string, error) {
		select {} // a library that hangs
	})
	fmt.Println(err)
	// Output:
	// context canceled
}
