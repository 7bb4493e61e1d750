package keyring_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/signer"
)

const workerVariable = "KEYRING_TEST_WORKER"

// TestMain makes this binary a worker if a variable says so: a program that uses
// the backend in an environment of its own.
func TestMain(m *testing.M) {
	if config := os.Getenv(workerVariable); config != "" {
		work(config)
		return
	}
	os.Exit(m.Run())
}

type settings struct {
	Stores                 []keyring.Store
	Timeout, PromptTimeout time.Duration
}

func (s settings) backend() *keyring.Backend {
	return &keyring.Backend{Stores: s.Stores, Timeout: s.Timeout, PromptTimeout: s.PromptTimeout}
}

// An order names an operation for a worker. The worker answers twice: before the
// operation, and with the outcome.
type order struct{ Op, Name string }

type outcome struct {
	Key   string // fingerprint
	Names []string
	Error string
	Kinds []string    // the sentinels that the error wraps
	Hint  signer.Hint // of the error
	Took  time.Duration

	Prompts []signer.PromptEvent // of "open by reference"
	Denied  int                  // of its goroutines
}

func work(config string) {
	var s settings
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		panic(err)
	}
	w := &working{settings: s, Backend: s.backend()}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return
		}
		out.Encode(outcome{})
		start := time.Now()
		r, err := w.do(o)
		r.Took = time.Since(start)
		if err != nil {
			r.Error, r.Kinds = err.Error(), kindsOf(err)
			r.Hint, _ = signer.HintOf(err)
		}
		out.Encode(r)
	}
}

type working struct {
	settings
	*keyring.Backend
	opened signer.Signer
}

func (w *working) do(o order) (r outcome, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var k signer.Signer
	switch o.Op {
	case "open":
		k, err = w.Open(ctx, o.Name)
		w.opened = k
	case "open in the background":
		k, err = w.Open(signer.WithoutPrompt(ctx), o.Name)
	case "open afresh":
		k, err = w.settings.backend().Open(ctx, o.Name)
	case "open at once":
		k, err = w.openAtOnce(o.Name)
	case "open by reference":
		k, err = w.openByReference(ctx, o.Name, &r)
	case "probe":
		r.Key, err = w.Probe(ctx, o.Name)
	case "forget":
		w.Forget(o.Name)
	case "sign":
		_, err = w.opened.Sign(ctx, []byte("message"))
	case "generate":
		k, err = w.Generate(ctx, o.Name)
	case "delete":
		err = w.Delete(ctx, o.Name)
	case "passphrase":
		_, err = w.Passphrase(o.Name)(ctx, "")
	case "list":
		var infos []signer.Info
		infos, err = w.List(ctx)
		for _, i := range infos {
			r.Names = append(r.Names, i.Name)
		}
	}
	if k != nil {
		r.Key = ssh.FingerprintSHA256(k.PublicKey())
	}
	return r, err
}

// openAtOnce opens and signs in 64 goroutines.
func (w *working) openAtOnce(name string) (k signer.Signer, err error) {
	opened, errs := make([]signer.Signer, 64), make([]error, 64)
	var wg sync.WaitGroup
	for i := range opened {
		wg.Go(func() {
			if opened[i], errs[i] = w.Open(context.Background(), name); errs[i] == nil {
				_, errs[i] = opened[i].Sign(context.Background(), []byte("message"))
			}
		})
	}
	wg.Wait()
	return opened[0], errors.Join(errs...)
}

// openByReference opens a locked key in 20 goroutines, and counts prompts and refusals.
func (w *working) openByReference(ctx context.Context, name string, r *outcome) (signer.Signer, error) {
	events := make(chan signer.PromptEvent, 100)
	ctx = signer.WithPromptFunc(ctx, func(e signer.PromptEvent) { events <- e })
	opened, errs := make([]signer.Signer, 20), make([]error, 20)
	var wg sync.WaitGroup
	for i := range opened {
		wg.Go(func() { opened[i], errs[i] = signer.Mux{"keyring": w.Backend}.Open(ctx, "keyring:"+name) })
	}
	wg.Wait()
	for ended := false; !ended || len(events) > 0; { // the end may come after its callers left
		e := <-events
		ended = e.State != signer.PromptOpened
		r.Prompts = append(r.Prompts, e)
	}
	for _, err := range errs {
		if errors.Is(err, signer.ErrDenied) {
			r.Denied++
		}
	}
	return opened[0], errors.Join(errs...)
}

func kindsOf(err error) []string {
	kinds := []struct {
		name string
		err  error
	}{
		{"ErrNotFound", signer.ErrNotFound},
		{"ErrExists", signer.ErrExists},
		{"ErrUnavailable", signer.ErrUnavailable},
		{"ErrLocked", signer.ErrLocked},
		{"ErrDenied", signer.ErrDenied},
		{"ErrInsecure", signer.ErrInsecure},
		{"ErrUnsupported", signer.ErrUnsupported},
		{"DeadlineExceeded", context.DeadlineExceeded},
	}
	var is []string
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			is = append(is, k.name)
		}
	}
	return is
}

type worker struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

func startWorker(t testing.TB, env []string, s settings) *worker {
	t.Helper()
	config, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(env, workerVariable+"="+string(config))
	cmd.Stderr = t.Output()
	cmd.WaitDelay = time.Minute
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &worker{t, cmd, in, json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))}
	t.Cleanup(w.stop)
	return w
}

// start tells the worker what to do and returns when it begins.
func (w *worker) start(op, name string) {
	w.t.Helper()
	if err := w.enc.Encode(order{op, name}); err != nil {
		w.t.Fatalf("worker: %v", err)
	}
	w.finish()
}

// finish returns the outcome.
func (w *worker) finish() outcome {
	w.t.Helper()
	var r outcome
	if err := w.dec.Decode(&r); err != nil {
		w.t.Fatalf("worker: %v", err)
	}
	return r
}

func (w *worker) do(op, name string) outcome {
	w.t.Helper()
	w.start(op, name)
	return w.finish()
}

// kill ends the worker as kill -9 does, and waits for the programs that the
// worker had started: they share its stderr.
func (w *worker) kill() {
	w.cmd.Process.Kill()
	w.cmd.Wait()
}

func (w *worker) stop() {
	w.in.Close()
	w.kill()
}
