package nobus

import "os"

const (
	variable = "DBUS_SESSION_BUS_ADDRESS"
	disabled = "disabled:" // no transport has this name, so dialling fails at once
)

var restore = hide()

// Restore gives the environment variable the value that it had when the program
// started.
func Restore() { restore() }

func hide() (restore func()) {
	given, isSet := os.LookupEnv(variable)
	os.Setenv(variable, disabled)
	return func() {
		if !isSet {
			os.Unsetenv(variable)
			return
		}
		os.Setenv(variable, given)
	}
}
