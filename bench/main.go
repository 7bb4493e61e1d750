// Command bench measures countersign beside the registry clients that people
// use: how they parse, sign and answer challenges, and how often they ask for a
// token, at the same registry in the same run. It writes docs/performance.md
// and its picture:
//
//	cd bench && go run .
//
// It is a module of its own, so that no user of countersign downloads a peer.
// The tests and benchmarks run without it too: go test -bench=.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run starts the report, which is a test because it needs what package testing
// has, with the peers' private parsers compiled in.
func run() error {
	tmp, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	overlay, err := writeOverlay(tmp)
	if err != nil {
		return err
	}
	docs, err := filepath.Abs("../docs")
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-timeout=30m",
		"-run=^TestReport$", ".", "-report="+docs)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
