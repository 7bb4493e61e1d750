package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version returns the version that Go recorded in this program: a released version,
// or the time and the revision of the source, or "(devel)" without a repository.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return fmt.Sprintf("%s %s %s/%s", cmp.Or(info.Main.Version, "(devel)"), info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
