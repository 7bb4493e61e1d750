package file_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer/signertest"
)

func TestConformance(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		dir := tempDir(t)
		return signertest.Store{
			Backend:  &file.Backend{Dir: filepath.Join(dir, "keys")},
			Name:     strconv.Itoa,
			BadNames: []string{"~somebody/.ollama/id_ed25519", "directory/of/keys/"},
			Dir:      dir,
			Snapshot: func(t *testing.T) []string {
				var lines []string
				for name, what := range tree(t, dir) {
					lines = append(lines, name+" "+what)
				}
				slices.Sort(lines)
				return lines
			},
		}
	})
}
