package challengetest_test

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer/signertest"
)

// ollama is an unmodified Ollama with a home directory of its own.
type ollama struct {
	program, home string
	server        string // host and port of "ollama serve"
	key           ssh.PublicKey
}

// TestUnmodifiedOllama runs the program that scripts/ollama builds.
func TestUnmodifiedOllama(t *testing.T) {
	program := os.Getenv("COUNTERSIGN_TEST_OLLAMA")
	if program == "" {
		t.Skip("no Ollama: scripts/ollama builds one and runs this test")
	}
	o := startOllama(t, program)
	own := newKey(t)
	config := challengetest.Config{CDN: true, SignIn: true, Keys: []ssh.PublicKey{o.key, own.PublicKey()}}
	first, second := start(t, config), start(t, config)
	digests := first.AddImage("library/demo", "latest", []byte("weights"), []byte("template"))
	from, to := strings.TrimPrefix(first.URL, "http://")+"/library/demo", strings.TrimPrefix(second.URL, "http://")+"/library/demo"

	t.Run("pull", func(t *testing.T) {
		o.run(t, o.server, "pull", "--insecure", "http://"+from)
		if s := first.Stats(); s.CDN == 0 || s.Tokens == 0 {
			t.Errorf("the registry saw %+v", s)
		}
		if got := o.run(t, o.server, "list"); !strings.Contains(got, from) {
			t.Errorf("list shows\n%s", got)
		}
	})
	t.Run("push", func(t *testing.T) {
		o.run(t, o.server, "cp", from, to)
		o.run(t, o.server, "push", "--insecure", "http://"+to)
		pull := query("repository:library/demo:pull", time.Now()).Encode()
		bearer := exchange{realm: second.Realm(), query: pull, key: own}.do(t, second).token(t)
		for _, digest := range digests {
			got := send(t, second, http.MethodHead, second.URL+"/v2/library/demo/blobs/"+digest, bearer, "")
			if got.status != http.StatusOK {
				t.Errorf("%s was not pushed: %d", digest, got.status)
			}
		}
	})
	t.Run("list with OLLAMA_AUTH", func(t *testing.T) {
		o.run(t, first.URL, "list")
		if s := first.Stats(); s.API != 1 {
			t.Errorf("the registry saw %+v", s)
		}
	})
	t.Run("signin", func(t *testing.T) {
		stranger := start(t, challengetest.Config{SignIn: true})
		page := regexp.MustCompile(regexp.QuoteMeta(stranger.URL) + `/connect\S+`).FindString(o.run(t, stranger.URL, "signin"))
		if page == "" {
			t.Fatal("signin shows no page")
		}
		send(t, stranger, http.MethodPost, page, "", "").want(t, http.StatusOK, "accepted")
		if got := o.run(t, stranger.URL, "signin"); !strings.Contains(got, "challengetest") {
			t.Errorf("signin after the sign-in shows\n%s", got)
		}
		o.run(t, stranger.URL, "signout")
	})
}

// startOllama starts "ollama serve" and waits until it answers.
func startOllama(t *testing.T, program string) ollama {
	t.Helper()
	o := ollama{program: program, home: t.TempDir()}
	private := signertest.NewKey(t)
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	o.key = public
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(o.home, ".ollama"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.home, ".ollama", "id_ed25519"), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.server = port.Addr().String()
	port.Close()

	ctx, stop := context.WithCancel(context.Background())
	serve := o.command(ctx, o.server, "serve")
	stderr, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&log, lines.Text())
			if strings.Contains(lines.Text(), "Listening on") {
				close(ready)
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = serve.Wait() // the context killed it
		if t.Failed() {
			t.Logf("ollama serve:\n%s", log.String())
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatal("ollama serve ended")
	}
	return o
}

// run runs a command of Ollama that talks to the server at host.
func (o ollama) run(t *testing.T, host string, args ...string) string {
	t.Helper()
	out, err := o.command(t.Context(), host, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ollama %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// command gives Ollama no PATH, so that it opens no browser.
func (o ollama) command(ctx context.Context, host string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.program, args...)
	cmd.Env = []string{"HOME=" + o.home, "OLLAMA_HOST=" + host, "OLLAMA_AUTH=1", "OLLAMA_NO_CLOUD=1"}
	return cmd
}
