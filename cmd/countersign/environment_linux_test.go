package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/secretservice"
)

// sealed runs a command where the disk is read-only, and the script's directory
// too if that is on another.
const sealed = `#!/bin/sh
exec unshare --mount sh -c '
	mount --bind "$WORK" "$WORK" && mount -o remount,bind,ro "$WORK" &&
	mount -o remount,bind,ro / && exec "$@"' sh "$@"
`

func TestContainer(t *testing.T) {
	// Whether there are namespaces is up to the kernel; nothing can be installed.
	if out, err := exec.Command("unshare", "--mount", "mount", "-o", "remount,bind,ro", "/").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no disk can be made read-only here, as root can where namespaces are allowed: %v: %s", err, out)
	}
	p := scripts("testdata/container")
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("PATH", env.WorkDir+":"+env.Getenv("PATH"))
		return os.WriteFile(env.WorkDir+"/sealed", []byte(sealed), 0o700)
	}
	testscript.Run(t, p)
}

// TestDesktop gives each script in testdata/desktop a desktop of its own, whose
// keychain it may lock.
func TestDesktop(t *testing.T) {
	files, err := filepath.Glob("testdata/desktop/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			secretservice.Require(t, "secret-tool")
			session := secretservice.Start(t)
			p := scripts("")
			p.Files = []string{file}
			p.Setup = func(env *testscript.Env) error {
				env.Vars = append(env.Vars, session.Env()...)
				return nil
			}
			p.Cmds["lock-keychain"] = func(*testscript.TestScript, bool, []string) { session.Lock() }
			testscript.Run(t, p)
		})
	}
}
