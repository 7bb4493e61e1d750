package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/secretservice"
)

// A desktop is a screen with the app's window, a keychain, and a registry with a
// sign-in page.
type desktop struct {
	*testing.T
	display  *secretservice.Display
	session  *secretservice.Session
	registry *challengetest.Registry
	page     string // the file that the browser writes the address of a page to

	app  *exec.Cmd
	out  *json.Decoder
	view view
}

func newDesktop(t *testing.T) *desktop {
	t.Helper()
	secretservice.Require(t, "import", "secret-tool")
	d := &desktop{T: t, page: filepath.Join(t.TempDir(), "page")}
	t.Setenv("PATH", d.browser()+":"+os.Getenv("PATH"))
	d.display = secretservice.StartDisplay(t)
	d.session = secretservice.StartBus(t, d.display.Env(), "LANG=en_US.UTF-8", "LIBGL_ALWAYS_SOFTWARE=1", "FYNE_THEME=light")
	d.session.AddPrompter()
	d.session.StartKeyring(secretservice.Password)
	r, err := challengetest.Start(challengetest.Config{SignIn: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.AddImage("library/demo", "latest", []byte(strings.Repeat("weights", 1000)))
	d.registry = r
	return d
}

// browser returns a folder with the program that opens pages. It writes the address of
// the page to a file.
func (d *desktop) browser() string {
	d.Helper()
	folder := d.TempDir()
	script := "#!/bin/sh\nprintf %s \"$1\" >'" + d.page + ".new' && mv '" + d.page + ".new' '" + d.page + "'\n"
	if err := os.WriteFile(filepath.Join(folder, "xdg-open"), []byte(script), 0o700); err != nil {
		d.Fatal(err)
	}
	return folder
}

// start starts the app, which must reach all texts in two minutes.
func (d *desktop) start() {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), 2*time.Minute)
	d.app = exec.CommandContext(ctx, os.Args[0])
	d.app.Env = append(d.session.Env(), serverVariable+"="+d.registry.URL)
	d.app.Stderr = d.Output()
	out, err := d.app.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	if err := d.app.Start(); err != nil {
		d.Fatal(err)
	}
	d.out = json.NewDecoder(out)
	app := d.app
	d.Cleanup(func() { cancel(); app.Wait() })
}

// restart ends the app as kill -9 does, and starts it again.
func (d *desktop) restart() {
	d.Helper()
	d.kill()
	d.start()
}

func (d *desktop) kill() {
	d.Helper()
	d.app.Process.Kill()
	d.app.Wait()
	d.view = view{}
}

// await waits until the window shows all texts. A text that ends with "*" is the start
// of the text that is wanted.
func (d *desktop) await(texts ...string) {
	d.Helper()
	shown := func(want string) bool {
		start, isStart := strings.CutSuffix(want, "*")
		return slices.ContainsFunc(d.view.Texts, func(got string) bool {
			return got == want || isStart && strings.HasPrefix(got, start)
		})
	}
	for slices.ContainsFunc(texts, func(want string) bool { return !shown(want) }) {
		last := d.view.Texts
		d.view = view{}
		if err := d.out.Decode(&d.view); err != nil {
			d.Fatalf("the window shows %q, want %q: %v", last, texts, err)
		}
	}
	d.Logf("the window shows %q", d.view.Texts)
}

// click clicks with the mouse on a button, or on the field "model".
func (d *desktop) click(name string) {
	d.Helper()
	if name != "model" {
		d.await("[" + name + "]")
	}
	at := d.view.Clicks[name]
	// The app learns the position of the mouse when it moves.
	d.window("mousemove", "639", "479", "mousemove", "--window", "%1", strconv.Itoa(at[0]), strconv.Itoa(at[1]), "click", "1")
}

// window does something with the window.
func (d *desktop) window(args ...string) {
	d.Helper()
	d.session.Run("", append([]string{"xdotool", "search", "--sync", "--onlyvisible", "--name", "^countersign example$", "windowfocus"}, args...)...)
}

// signIn does what a person does on the sign-in page.
func (d *desktop) signIn() {
	d.Helper()
	page, err := os.ReadFile(d.page)
	for ; err != nil && d.Context().Err() == nil; page, err = os.ReadFile(d.page) {
		time.Sleep(50 * time.Millisecond) // the browser starts
	}
	if err := os.Remove(d.page); err != nil {
		d.Fatal(err)
	}
	if !strings.HasPrefix(string(page), d.registry.URL+"/connect?") {
		d.Fatalf("the browser opened %s", page)
	}
	resp, err := http.PostForm(string(page), url.Values{})
	if err != nil {
		d.Fatal(err)
	}
	resp.Body.Close()
}

// picture takes a picture of the upper part of the screen for the documentation, if it is
// wanted.
func (d *desktop) picture(name string, height int) {
	d.Helper()
	folder := os.Getenv("COUNTERSIGN_DESKTOP_PICTURES")
	if folder == "" {
		return
	}
	time.Sleep(time.Second) // a window is drawn after its text was set
	file := filepath.Join(folder, "desktop-"+name+".png")
	d.session.Run("", "import", "-window", "root", "-crop", fmt.Sprintf("640x%d+0+0", height), "+repage", "+dither", "-colors", "32", file)
}

// wantKeys wants the keychain to have so many keys, and the home no key file.
func (d *desktop) wantKeys(want int) {
	d.Helper()
	items := d.session.Run("", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets",
		"/org/freedesktop/secrets/collection/login", "org.freedesktop.DBus.Properties.Get",
		"string:org.freedesktop.Secret.Collection", "string:Items")
	if got := strings.Count(items, "object path"); got != want {
		d.Errorf("the keychain has %d keys, want %d", got, want)
	}
	if _, err := os.Stat(filepath.Join(d.session.Dir(), ".ollama", "id_ed25519")); err == nil {
		d.Error("the app made a key file beside the keychain")
	}
}

// fingerprint is that of the key that the window shows.
func (d *desktop) fingerprint() string {
	d.Helper()
	for _, text := range d.view.Texts {
		if _, rest, ok := strings.Cut(text, "Key keyring:ollama, "); ok {
			fingerprint, _, _ := strings.Cut(rest, ",")
			return fingerprint
		}
	}
	d.Fatalf("the window shows no fingerprint: %q", d.view.Texts)
	return ""
}

const (
	notYet       = "Not connected yet."
	waiting      = "Waiting until you have signed in ..."
	connected    = "Connected as challengetest."
	notConnected = "Your key is not connected to an account."
	locked       = "Your key is locked."
	refused      = "You did not allow this app to use your key, or the password was wrong."
	asking       = "Another window asks for keyring:ollama. Please answer there."
	offline      = "The server cannot be reached. Are you offline?"
)

// TestDesktop is the life of an app's key, with real clicks: first run, pull, locked
// keychain, refused prompt, answered prompt, deleted key, offline, replaced key. The app is killed at
// each step and started again.
func TestDesktop(t *testing.T) {
	if os.Getenv("COUNTERSIGN_TEST_DESKTOP") == "" {
		t.Skip("scripts/desktop runs this test")
	}
	d := newDesktop(t)
	d.start()
	d.await(notYet)
	d.picture("first-run", 320)
	d.restart()
	d.await(notYet)
	d.wantKeys(0)

	// First run. The app is killed while it waits: the next one has the same key.
	d.click("Connect")
	d.await(waiting, d.registry.URL+"/connect?*")
	d.wantKeys(1)
	d.restart()
	d.await(notConnected, "Key keyring:ollama, SHA256:*")
	first := d.fingerprint()
	saved := d.session.Run("", "secret-tool", "lookup", "profile", "countersign:ollama")
	d.click("Connect")
	d.await(waiting)
	d.picture("waiting", 320)
	d.signIn()
	d.await(connected)
	d.restart()
	d.await(connected, "Key keyring:ollama, "+first+", last seen *")
	d.wantKeys(1)

	// Pull.
	d.click("model")
	d.window("type", "library/demo")
	d.await("_library/demo_")
	d.click("Pull")
	d.await(connected, "100%")
	d.picture("connected", 320)
	pulled, err := filepath.Glob(filepath.Join(d.session.Dir(), ".config", "countersign-example", "blobs", "*"))
	if err != nil || len(pulled) != 1 {
		t.Errorf("pulled %q, %v", pulled, err)
	}

	// Locked keychain, refused prompt. The app is also killed while the prompt is open.
	signatures := d.registry.Stats().Signatures
	d.session.Lock()
	d.await(locked)
	d.click("Unlock")
	d.await(asking)
	d.display.AwaitPrompt()
	d.session.Run("", "xdotool", "search", "--onlyvisible", "--class", "gcr-prompter", "windowmove", "35", "322") // below the app
	d.picture("prompt", 480)
	d.restart()
	d.await(locked, "Key keyring:ollama, "+first+"*")
	d.display.Dismiss() // gnome-keyring leaves the prompt of a killed program open
	d.click("Unlock")
	d.await(asking)
	d.display.Dismiss()
	d.await(refused)
	d.picture("refused", 320)
	if got := d.registry.Stats().Signatures; got != signatures {
		t.Errorf("%d signatures with a locked key", got-signatures)
	}
	d.wantKeys(1)

	// Answered prompt.
	d.click("Unlock")
	d.await(asking)
	d.display.Answer(secretservice.Password)
	d.await(connected, "Key keyring:ollama, "+first+"*")
	d.wantKeys(1)

	// Deleted key: the new key is not connected, and the app says so.
	d.session.Run("", "secret-tool", "clear", "profile", "countersign:ollama")
	d.await(notYet)
	d.restart()
	d.await(notYet)
	d.click("Connect")
	d.await(waiting)
	d.restart()
	d.await(notConnected, "Key keyring:ollama, SHA256:*")
	if second := d.fingerprint(); second == first {
		t.Errorf("the new key is the deleted key %s", first)
	}
	d.wantKeys(1)
	d.click("Connect")
	d.await(waiting)
	d.signIn()
	d.await(connected)

	// Offline. The app still shows the account.
	d.registry.Close()
	d.click("model")
	d.window("type", "library/demo")
	d.await("_library/demo_")
	d.click("Pull")
	d.await(offline)
	d.restart()
	d.await(connected)
	d.wantKeys(1)

	// Another program replaces the key while the app does not run.
	d.kill()
	d.session.Run(saved, "secret-tool", "store", "--label=ollama", "profile", "countersign:ollama")
	d.wantKeys(1)
	d.start()
	d.await(notConnected)
	d.wantKeys(1)
}
