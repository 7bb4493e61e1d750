package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestAdviceForMountedSecret mounts a secret as fsGroup of Kubernetes does for a
// container of root, and follows both parts of the advice.
func TestAdviceForMountedSecret(t *testing.T) {
	sh := commandShell{t, t.TempDir(), os.Environ()}
	secrets := filepath.Join(sh.dir, "secrets")
	if err := os.Mkdir(secrets, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", secrets, "tmpfs", 0, ""); err != nil {
		// Whether root may mount is up to the kernel; nothing can be installed.
		t.Skipf("SKIPPED: mounting a file system takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(secrets, 0); err != nil {
			t.Error(err)
		}
	})
	want := sh.run(0, "", "countersign", "key", "generate", "file:secrets/key")
	if err := os.Chmod(filepath.Join(secrets, "key"), 0o440); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", secrets, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}

	told := sh.run(1, "", "sh", "-c", "countersign key show file:secrets/key 2>&1")
	command := regexp.MustCompile(`install -m 600 \S+ NEW`).FindString(told)
	if command == "" || strings.Contains(told, "chmod") {
		t.Fatalf("no advice that can work in %q", told)
	}
	sh.run(0, "", "sh", "-c", command)
	if got := sh.run(0, "", "countersign", "key", "show", "file:NEW"); got != want {
		t.Errorf("the copy is the key %s, want %s", got, want)
	}
	sh.env = append(sh.env, "OLLAMA_KEY_FILE="+filepath.Join(secrets, "key"))
	if got := sh.run(0, "", "countersign", "key", "show", "env:OLLAMA_KEY"); got != want {
		t.Errorf("the secret is the key %s, want %s", got, want)
	}
}
