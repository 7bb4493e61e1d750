package main

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// serverVariable makes this test program the app, which shows the tab of the server in
// the variable.
const serverVariable = "DESKTOP_TEST_SERVER"

func TestMain(m *testing.M) {
	if server := os.Getenv(serverVariable); server != "" {
		runApp(server)
		return
	}
	os.Exit(m.Run())
}

// A view is the content of the window: the visible texts, and the middle of each part
// that can be clicked, in pixels from the corner of the window.
type view struct {
	Texts  []string
	Clicks map[string][2]int

	moving bool // a visible part has no place yet
}

// runApp runs the app, and writes each view to stdout as a line of JSON.
func runApp(server string) {
	w, err := newWindow(app.NewWithID("countersign.example"), []string{server})
	if err != nil {
		panic(err)
	}
	go func() {
		var last, shown view
		out := json.NewEncoder(os.Stdout)
		for range time.Tick(50 * time.Millisecond) { // labels tell no changes
			fyne.DoAndWait(func() {
				v := view{Clicks: map[string][2]int{}}
				v.add(w.Canvas(), w.Content())
				same := reflect.DeepEqual(v, last)
				last = v
				if v.moving || !same || reflect.DeepEqual(v, shown) { // the layout comes after the texts
					return
				}
				shown = v
				if err := out.Encode(v); err != nil {
					os.Exit(1) // the test has ended
				}
			})
		}
	}()
	w.Run()
}

// add adds a visible object and the objects in it.
func (v *view) add(c fyne.Canvas, o fyne.CanvasObject) {
	if !o.Visible() {
		return
	}
	v.moving = v.moving || o.Size().IsZero()
	switch o := o.(type) {
	case *container.AppTabs:
		v.add(c, o.Selected().Content)
	case *fyne.Container:
		for _, child := range o.Objects {
			v.add(c, child)
		}
	case *widget.Label:
		v.Texts = append(v.Texts, o.Text)
	case *widget.Button:
		v.Texts = append(v.Texts, "["+o.Text+"]")
		v.click(c, o.Text, o)
	case *widget.Entry:
		v.Texts = append(v.Texts, "_"+o.Text+"_")
		v.click(c, "model", o)
	case *widget.ProgressBar:
		if o.Value == 1 {
			v.Texts = append(v.Texts, "100%")
		}
	}
}

func (v *view) click(c fyne.Canvas, name string, o fyne.CanvasObject) {
	middle := fyne.CurrentApp().Driver().AbsolutePositionForObject(o).AddXY(o.Size().Width/2, o.Size().Height/2)
	v.Clicks[name] = [2]int{int(middle.X * c.Scale()), int(middle.Y * c.Scale())}
}
