package config

import (
	"fmt"
	"slices"
	"strings"
)

// The systems and architectures of "go tool dist list". The section of a misspelt
// platform would never be used.
var (
	systems = []string{
		"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux",
		"netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows",
	}
	architectures = []string{
		"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle",
		"ppc64", "ppc64le", "riscv64", "s390x", "wasm",
	}
	otherNames = map[string]string{
		"macos": "darwin", "osx": "darwin", "mac": "darwin", "win32": "windows",
		"x86_64": "amd64", "x64": "amd64", "i386": "386", "x86": "386", "aarch64": "arm64", "armv7l": "arm",
	}
)

// checkPlatform takes "GOOS" and "GOOS/GOARCH".
func checkPlatform(name string) error {
	goos, goarch, both := strings.Cut(name, "/")
	if !slices.Contains(systems, goos) {
		return fmt.Errorf("unknown system %s%s", quote(goos), suggestPlatform(goos, systems))
	}
	if both && !slices.Contains(architectures, goarch) {
		return fmt.Errorf("unknown architecture %s%s", quote(goarch), suggestPlatform(goarch, architectures))
	}
	return nil
}

func suggestPlatform(name string, known []string) string {
	if other := otherNames[strings.ToLower(name)]; slices.Contains(known, other) {
		return fmt.Sprintf(": did you mean %q?", other)
	}
	return suggest(name, slices.Clone(known))
}
