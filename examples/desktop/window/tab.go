package window

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// A Tab is one server. Its fields are used on Fyne's goroutine only.
type Tab struct {
	window  *Window
	client  *signin.Client
	http    *http.Client
	content fyne.CanvasObject

	Status  *widget.Label  // what the state is, or what happens now
	Details *widget.Label  // which key is used, or why an action failed
	Action  *widget.Button // what a person can do about it
	SignOut *widget.Button
	Model   *widget.Entry
	Pull    *widget.Button
	Bar     *widget.ProgressBar

	state  signin.State
	cancel context.CancelFunc // of the action that runs, or nil
}

func newTab(w *Window, client *signin.Client) *Tab {
	t := &Tab{
		window: w, client: client, http: client.HTTP(),
		Status: widget.NewLabel("Looking for your key ..."), Details: widget.NewLabel(""),
		Action: widget.NewButton("", nil), SignOut: widget.NewButton("Sign out", nil),
		Model: widget.NewEntry(), Pull: widget.NewButton("Pull", nil), Bar: widget.NewProgressBar(),
	}
	t.Status.Wrapping, t.Details.Wrapping = fyne.TextWrapWord, fyne.TextWrapWord
	t.Status.TextStyle.Bold = true
	t.Model.SetPlaceHolder("library/llama3:latest")
	t.SignOut.OnTapped = func() { t.start("Signing out ...", t.signOut) }
	t.Pull.OnTapped = func() {
		model := t.Model.Text
		t.start("Pulling ...", func(ctx context.Context) error { return t.pull(ctx, model) })
	}
	t.Action.Hide()
	t.SignOut.Hide()
	t.Bar.Hide()
	client.Prompt = t.prompt
	t.content = container.NewPadded(container.NewVBox(
		t.Status, t.Details, container.NewHBox(t.Action, t.SignOut, layout.NewSpacer()),
		widget.NewSeparator(), container.NewBorder(nil, nil, widget.NewLabel("Model"), t.Pull, t.Model), t.Bar,
	))
	return t
}

// Watch shows the state of the key and each change of it, until the window is closed.
func (t *Tab) Watch() {
	go t.client.Watch(t.window.ctx, func(s signin.State) {
		fyne.Do(func() {
			t.state = s
			if t.cancel == nil {
				t.show(s)
			}
		})
	})
}

// show shows a state: see docs/desktop.md, "What does the window show?"
func (t *Tab) show(s signin.State) {
	t.SignOut.Hide()
	t.Details.SetText(details(s))
	switch {
	case errors.Is(s.Err, signer.ErrNotFound):
		t.Status.SetText("Not connected yet.")
		t.offer("Connect", t.connect)
	case s.Err != nil:
		t.Status.SetText(sentence(s.Err))
		t.offer("Try again", t.unlock)
	case s.Locked:
		t.Status.SetText("Your key is locked.")
		t.offer("Unlock", t.unlock)
	case s.IsConnected():
		t.Status.SetText("Connected as " + s.Account.Name + ".")
		t.Action.Hide()
		t.SignOut.Show()
	default:
		t.Status.SetText("Your key is not connected to an account.")
		t.offer("Connect", t.connect)
	}
}

func details(s signin.State) string {
	text := "No key"
	if s.Ref != "" {
		text = "Key " + s.Ref
	}
	if s.Fingerprint != "" {
		text += ", " + s.Fingerprint
	}
	if !s.Seen.IsZero() {
		text += ", last seen " + s.Seen.Local().Format(time.DateTime)
	}
	return text
}

// offer shows a button that starts an action.
func (t *Tab) offer(label string, action func(context.Context) error) {
	t.Action.SetText(label)
	t.Action.OnTapped = func() { t.start(label+" ...", action) }
	t.Action.Show()
}

// start runs an action on a goroutine of its own, because a person may take minutes to
// answer. The button cancels it.
func (t *Tab) start(status string, action func(context.Context) error) {
	if t.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(t.window.ctx)
	t.cancel = cancel
	t.Status.SetText(status)
	t.Details.SetText("")
	t.SignOut.Hide()
	t.Bar.Hide()
	t.Bar.SetValue(0)
	t.Pull.Disable()
	t.Action.SetText("Cancel")
	t.Action.OnTapped = cancel
	t.Action.Show()
	go func() {
		err := action(ctx)
		cancel()
		state := t.client.State(t.window.ctx)
		fyne.Do(func() { t.end(state, err) })
	}()
}

func (t *Tab) end(s signin.State, err error) {
	t.cancel = nil
	t.state = s
	t.Pull.Enable()
	t.show(s)
	if err != nil {
		t.Bar.Hide()
	}
	if text := sentence(err); text != "" {
		t.Status.SetText(text)
		t.Details.SetText(err.Error())
	}
}

// connect is the first run. It can be called again after an error: it goes on where the
// last call ended.
func (t *Tab) connect(ctx context.Context) error {
	key, err := t.client.EnsureKey(ctx)
	if err != nil {
		return err
	}
	page, err := t.client.Page(key)
	if err != nil {
		return err
	}
	opened := false
	_, err = t.client.Wait(ctx, key, func(p signin.Progress) {
		fyne.Do(func() { t.Status.SetText("Waiting until you have signed in ...") })
		if opened {
			return
		}
		opened = true
		fyne.Do(func() { t.open(page) })
	})
	return err
}

// open opens the sign-in page in the browser, and shows its address for the case that no
// browser starts.
func (t *Tab) open(page string) {
	t.Details.SetText(page)
	if err := t.window.app.OpenURL(mustParse(page)); err != nil {
		t.Status.SetText("Open this page in a browser and sign in.")
	}
}

func (t *Tab) unlock(ctx context.Context) error {
	_, err := t.client.OpenKey(ctx)
	return err
}

func (t *Tab) signOut(ctx context.Context) error {
	key, err := t.client.OpenKey(ctx)
	if err != nil {
		return err
	}
	return t.client.SignOut(ctx, key)
}

// prompt says which other window waits for an answer. It is called on any goroutine.
func (t *Tab) prompt(e signer.PromptEvent) {
	fyne.Do(func() {
		if e.State == signer.PromptOpened {
			t.Status.SetText(fmt.Sprintf("Another window asks for %s. Please answer there.", e.Key))
		} else if t.cancel != nil {
			t.Status.SetText("One moment ...")
		}
	})
}
