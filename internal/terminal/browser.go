package terminal

import (
	"os"
	"runtime"

	"github.com/cli/browser"
)

// CanBrowse reports whether a browser would open where the person is: stdout and
// stderr are a terminal, not at the far end of SSH, and there is a display.
func CanBrowse(stdout, stderr any) bool {
	if !Is(stdout) || !Is(stderr) || os.Getenv("SSH_CONNECTION") != "" {
		return false
	}
	switch runtime.GOOS {
	case "windows", "darwin":
		return true
	}
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

// OpenBrowser opens page in a browser and calls failed if that fails. It does not
// wait, because some systems run the browser until its window is closed. The
// browser's output is dropped.
func OpenBrowser(page string, failed func(error)) {
	browser.Stdout, browser.Stderr = nil, nil
	go func() {
		if err := browser.OpenURL(page); err != nil {
			failed(err)
		}
	}()
}
