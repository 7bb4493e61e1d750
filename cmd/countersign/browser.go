package main

import (
	"os"
	"runtime"

	"github.com/cli/browser"
)

// canBrowse reports whether a browser would open where the person is: not in a
// script's pipe, and not at the far end of SSH.
func (a *app) canBrowse() bool {
	if !isTerminal(a.stdout) || !isTerminal(a.stderr) || os.Getenv("SSH_CONNECTION") != "" {
		return false
	}
	switch runtime.GOOS {
	case "windows", "darwin":
		return true
	}
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

// openBrowser does not wait for the browser, which some systems run until its
// window is closed. What it prints is dropped.
func (a *app) openBrowser(page string) {
	browser.Stdout, browser.Stderr = nil, nil
	go func() {
		if err := browser.OpenURL(page); err != nil {
			a.note("\nno browser opens (%v): open the address above\n", err)
		}
	}()
}
