// Package window is the window of the example: a tab for each server, with the state of
// its key and account, and a field to pull a model.
package window

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"github.com/countersign/countersign/signin"
)

// A Window is the window of the app.
type Window struct {
	fyne.Window
	app    fyne.App
	folder string // of pulled models
	tabs   *container.AppTabs
	all    []*Tab
	ctx    context.Context
	close  context.CancelFunc
}

// New returns a window without tabs. Pulled models are written below folder.
func New(a fyne.App, folder string) *Window {
	w := &Window{Window: a.NewWindow("countersign example"), app: a, folder: folder, tabs: container.NewAppTabs()}
	w.ctx, w.close = context.WithCancel(context.Background())
	w.SetContent(w.tabs)
	w.SetOnClosed(w.close)
	w.Resize(fyne.NewSize(640, 320))
	return w
}

// Add adds the tab of a server.
func (w *Window) Add(client *signin.Client) *Tab {
	t := newTab(w, client)
	w.all = append(w.all, t)
	w.tabs.Append(container.NewTabItem(client.Server.URL().Host, t.content))
	return t
}

// Run shows the window until a person closes it.
func (w *Window) Run() {
	for _, t := range w.all {
		t.Watch()
	}
	w.ShowAndRun()
}
