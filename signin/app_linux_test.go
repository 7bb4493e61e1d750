package signin_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
)

// An app is a running runApp.
type app struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer
	out   *json.Decoder
	state shownState // the last that it told

	prompts []signer.PromptState // since the last order
}

func startApp(t *testing.T, env []string, server string) *app {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(slices.Clone(env), appVariable+"="+server)
	cmd.Stderr = t.Output()
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
	a := &app{t: t, cmd: cmd, in: in, out: json.NewDecoder(out)}
	t.Cleanup(a.kill)
	return a
}

// kill ends the app as kill -9 does.
func (a *app) kill() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
}

func (a *app) next() message {
	a.t.Helper()
	var m message
	if err := a.out.Decode(&m); err != nil {
		a.t.Fatal(err)
	}
	if m.State != nil {
		a.state = *m.State
	}
	if m.Prompt != nil {
		a.prompts = append(a.prompts, m.Prompt.State)
		if m.Prompt.Key != "keyring:ollama" || m.Prompt.Store != "secret-service" {
			a.t.Errorf("a prompt of %+v", m.Prompt)
		}
	}
	return m
}

// await reads until the app shows a state that fits.
func (a *app) await(what string, fits func(shownState) bool) {
	a.t.Helper()
	a.t.Log("awaiting:", what)
	for !fits(a.state) {
		a.next()
	}
}

func (a *app) start(order string) {
	a.t.Helper()
	a.prompts = nil
	if _, err := fmt.Fprintln(a.in, order); err != nil {
		a.t.Fatal(err)
	}
}

// finish reads until the order has ended. A prompt may be told shortly after its callers.
func (a *app) finish(wantPrompts []signer.PromptState, wantKinds ...string) {
	a.t.Helper()
	for {
		m := a.next()
		if m.Done == "" {
			continue
		}
		for len(a.prompts) < len(wantPrompts) {
			a.next()
		}
		if diff := cmp.Diff(wantKinds, m.Kinds); diff != "" {
			a.t.Errorf("%s: %s\n%s", m.Done, m.Error, diff)
		}
		if !slices.Equal(a.prompts, wantPrompts) {
			a.t.Errorf("%s: prompts %v, want %v", m.Done, a.prompts, wantPrompts)
		}
		return
	}
}

// TestAppWithRealKeychain is the life of an app's key: first run, lock, refused prompt,
// answered prompt, restart, deletion.
func TestAppWithRealKeychain(t *testing.T) {
	display := secretservice.StartDisplay(t)
	session := secretservice.StartBus(t, display.Env())
	session.AddPrompter()
	session.StartKeyring("password")
	registry := startSignIn(t)
	for _, name := range []string{"one", "two", "three", "four"} {
		registry.AddImage(name, "latest", []byte(name))
	}
	denied, allowed := []signer.PromptState{signer.PromptOpened, signer.PromptRefused}, []signer.PromptState{signer.PromptOpened, signer.PromptAllowed}

	a := startApp(t, session.Env(), registry.URL)
	a.await("no key", func(s shownState) bool { return slices.Equal(s.Kinds, []string{signer.ErrNotFound.Error()}) })
	a.start("ensure")
	a.finish(nil)
	a.await("a key", func(s shownState) bool { return s.Ref == "keyring:ollama" && s.Fingerprint != "" && !s.Locked })
	first := a.state.Fingerprint
	a.start("account")
	a.finish(nil, "the key is not connected to an account")
	connect(t, registry)
	a.start("account")
	a.finish(nil)
	a.await("connected", func(s shownState) bool { return s.Account == "challengetest" })

	session.Lock()
	a.await("locked and connected", func(s shownState) bool { return s.Locked && s.Account == "challengetest" && s.Fingerprint == first })
	a.start("get one")
	display.Dismiss()
	a.finish(denied, signer.ErrDenied.Error())
	a.start("get one")
	display.Answer("password")
	a.finish(allowed)
	a.await("unlocked", func(s shownState) bool { return !s.Locked && s.Fingerprint == first })

	session.Lock()
	a.kill()
	a = startApp(t, session.Env(), registry.URL)
	a.await("locked at the start", func(s shownState) bool { return s.Locked && s.Account == "challengetest" && s.Fingerprint == first })
	a.start("ensure")
	display.Dismiss()
	a.finish(denied, signer.ErrDenied.Error())
	a.start("ensure")
	display.Answer("password")
	a.finish(allowed)
	a.start("get two")
	a.finish(nil)

	session.Run("", "secret-tool", "clear", "profile", "countersign:ollama")
	a.await("deleted", func(s shownState) bool {
		return slices.Equal(s.Kinds, []string{signer.ErrNotFound.Error()}) && s.Account == ""
	})
	a.start("get three")
	a.finish(nil, signer.ErrNotFound.Error())
	a.start("ensure")
	a.finish(nil)
	a.await("a new key", func(s shownState) bool { return s.Fingerprint != "" && s.Fingerprint != first && s.Account == "" })
}

// connect presses the button of the sign-in page of the key that signed last.
func connect(t *testing.T, r *challengetest.Registry) {
	t.Helper()
	wire, _, _ := strings.Cut(r.Last(challengetest.API).Header.Get("Authorization"), ":")
	line := base64.RawURLEncoding.EncodeToString([]byte("ssh-ed25519 " + wire))
	resp, err := http.PostForm(r.URL+"/connect?name=&key="+line, url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}
