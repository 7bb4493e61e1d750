package plugin

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// passed has the variables that a program gets: those that name the user, the
// language and the places of files and of services. None holds a secret.
var passed = []string{
	"HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TMPDIR",
	"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
	"DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "SSH_AUTH_SOCK", "GNUPGHOME",
}

// passedOnWindows has the variables without which programs do not start there.
var passedOnWindows = []string{
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERNAME", "USERPROFILE",
	"HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES",
}

// environment returns the variables for a program: those on the list and those
// that the caller added, if they are set, and the absolute folders of PATH.
func environment(added []string) []string {
	env := []string{"PATH=" + strings.Join(pathFolders(), string(filepath.ListSeparator))}
	names := slices.Concat(passed, added)
	if runtime.GOOS == "windows" {
		names = slices.Concat(names, passedOnWindows)
	}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok && name != "PATH" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
