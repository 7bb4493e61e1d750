package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// prefix begins the name of each plugin's program.
const prefix = "countersign-backend-"

// A Found is a plugin whose program is known.
type Found struct {
	Name       string
	Path       string // of the program
	Configured bool   // Backend.Programs has the path; else the program is in a folder of PATH
	Err        error  // why the program cannot be used, or nil
}

// Find returns all plugins, sorted by name: those in Programs, and those in the
// absolute folders of PATH. It starts none.
func (b *Backend) Find() []Found {
	names := map[string]bool{}
	for name := range b.Programs {
		names[name] = true
	}
	for _, dir := range pathFolders() {
		entries, _ := os.ReadDir(dir) // a folder that cannot be read has no plugin
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), prefix)
			if name = strings.TrimSuffix(name, extension()); ok && CheckName(name) == nil {
				names[name] = true
			}
		}
	}
	var found []Found
	for name := range names {
		p, err := b.locate(name)
		if p.Path == "" {
			continue // a folder, or a file that is no program
		}
		found = append(found, Found{name, p.Path, b.Programs[name].Path != "", err})
	}
	slices.SortFunc(found, func(x, y Found) int { return strings.Compare(x.Name, y.Name) })
	return found
}

// locate returns the program of the plugin called name, and why it cannot be used.
func (b *Backend) locate(name string) (Program, error) {
	p := b.Programs[name]
	if p.Path != "" {
		return p, check(p.Path)
	}
	for _, dir := range pathFolders() {
		path := filepath.Join(dir, prefix+name+extension())
		if info, err := os.Stat(path); err == nil && isProgram(info) {
			p.Path = path
			return p, check(path)
		}
	}
	err := fmt.Errorf("%w: no absolute folder of PATH has a program %s", signer.ErrUnavailable, prefix+name+extension())
	return Program{}, signer.WithHint(err, signer.Hint{
		Do:  fmt.Sprintf("install the plugin, or name its program in the configuration: [plugin.%s] program = \"/path\"", name),
		See: "plugin-protocol",
	})
}

// check returns why the program at path cannot be used.
func check(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%w: the path of the plugin's program, %s, is not absolute", signer.ErrUnavailable, printable.Text(path))
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the plugin's program %s is not there", signer.ErrUnavailable, printable.Text(path))
	case err != nil:
		return fmt.Errorf("%w: the plugin's program: %w", signer.ErrDenied, printable.Error(err))
	case !isProgram(info):
		return fmt.Errorf("%w: the plugin's program %s is no file that can be executed", signer.ErrDenied, printable.Text(path))
	}
	return access.CheckWriters("plugin", path)
}

func isProgram(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0)
}

// pathFolders returns the absolute folders of PATH. A relative folder would mean
// another program in each working directory.
func pathFolders() []string {
	return slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool { return !filepath.IsAbs(dir) })
}

// extension returns the end of the name of a program.
func extension() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
