package docs_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer/signertest"
)

// TestKubernetesManifest mounts a secret as the manifest on the page for headless
// jobs tells the kubelet to mount it, and runs the command as the user of its
// container.
func TestKubernetesManifest(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs this test as root")
		}
		t.Skip("only root can run a program as another user")
	}
	manifest, err := os.ReadFile(filepath.Join(root, "docs", "headless.md"))
	if err != nil {
		t.Fatal(err)
	}
	const unset = -1
	number := func(field string, base int, otherwise int) int {
		m := regexp.MustCompile(`(?m)^ +` + field + `: (\d+)$`).FindSubmatch(manifest)
		if m == nil {
			return otherwise
		}
		n, err := strconv.ParseInt(string(m[1]), base, 32)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	user := number("runAsUser", 10, 65532) // images for jobs have a user that is not root
	group := number("fsGroup", 10, unset)
	mode := os.FileMode(number("defaultMode", 8, 0o644))

	dir, err := os.MkdirTemp("", "kubernetes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // t.TempDir is closed to other users
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "key")
	writeKey(t, secret)
	groups := []uint32{}
	if group != unset {
		mode |= 0o440 // SetVolumeOwnership in Kubernetes' pkg/volume/volume_linux.go
		groups = append(groups, uint32(group))
		if err := os.Chown(secret, 0, group); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(secret, mode); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "countersign")
	if err := os.Rename(filepath.Join(build(t), "countersign"), program); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(program, "key", "show", "env:OLLAMA_KEY")
	cmd.Dir = "/"
	cmd.Env = []string{"OLLAMA_KEY_FILE=" + secret}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user), Groups: groups}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("user %d cannot use the secret: %v\n%s", user, err, out)
	}
}

func writeKey(t *testing.T, name string) {
	t.Helper()
	key := signertest.NewKey(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}
