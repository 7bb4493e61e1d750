// Package ollamapull builds a program around Ollama's own PullModel and PushModel, which
// "ollama serve" calls for "ollama pull --insecure" and "ollama push --insecure". Ollama
// itself takes 12 minutes of processor time to build, and this program some seconds.
package ollamapull

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/internal/gosource"
)

// code is the main function. The first argument is pull or push, the second is a name.
const code = `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ollama/ollama/api"
)

func main() {
	run := map[string]func(context.Context, string, *registryOptions, func(api.ProgressResponse)) error{
		"pull": PullModel, "push": PushModel,
	}[os.Args[1]]
	err := run(context.Background(), os.Args[2], &registryOptions{Insecure: true}, func(api.ProgressResponse) {})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
`

// A Program is the path of the program.
type Program string

// Build builds the program. The module of the test must require github.com/ollama/ollama
// with its package manifest.
func Build(t testing.TB) Program {
	t.Helper()
	root, err := gosource.ModuleDir("github.com/ollama/ollama")
	if err != nil {
		t.Fatal(err)
	}
	source, err := gosource.Load(filepath.Join(root, "server"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := source.ExtractFiles("main", "PullModel", "PushModel")
	if err != nil {
		t.Fatal(err)
	}
	files["main.go"] = code
	dir := t.TempDir()
	program := filepath.Join(dir, "program.exe")
	build := exec.Command("go", "build", "-o", program)
	for name, code := range files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		build.Args = append(build.Args, file)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return Program(program)
}

// Run pulls or pushes a model, such as http://127.0.0.1:5000/library/demo. The key is in
// the file .ollama/id_ed25519 of the folder home, the models are in the folder models.
// The error has what Ollama says.
func (p Program) Run(ctx context.Context, home, models, command, model string) error {
	cmd := exec.CommandContext(ctx, string(p), command, model)
	cmd.Env = append(os.Environ(), "HOME="+home, "USERPROFILE="+home, "OLLAMA_MODELS="+models)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, out)
	}
	return nil
}
