package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/testprogram"
)

func readUnit(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, "countersignd.service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setting returns the value of a setting of a unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatalf("the unit has no %s", name)
	}
	return m[1]
}

// TestUnitIsValid lets systemd read the unit, and wants it to give an attacker in the
// process little.
func TestUnitIsValid(t *testing.T) {
	analyze := testprogram.Require(t, "systemd-analyze", "systemd")
	unit := readUnit(t)
	program, _, _ := strings.Cut(setting(t, unit, "ExecStart"), " ")
	path := filepath.Join(t.TempDir(), "countersignd.service")
	unit = strings.ReplaceAll(unit, program, "/bin/true") // a program that is there
	if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), path) {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=20", path).CombinedOutput(); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}

// TestUnitCommands runs the commands of the unit as a user without rights, with the
// capability, the mask and the read-only folders of the unit.
func TestUnitCommands(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can run a program as another user")
	}
	requireNamespaces(t)
	setpriv := testprogram.Require(t, "setpriv", "util-linux")
	testprogram.Require(t, "curl", "curl")
	unit := readUnit(t)
	capability := strings.ToLower(strings.TrimPrefix(setting(t, unit, "AmbientCapabilities"), "CAP_"))
	user := fmt.Sprintf("env -i PATH=$PATH %s --reuid=65534 --regid=65534 --clear-groups --no-new-privs "+
		"--inh-caps=-all,+%[2]s --ambient-caps=-all,+%[2]s --bounding-set=-all,+%[2]s", setpriv, capability)
	writable := setting(t, unit, "ReadWritePaths")
	m := machine{folder: t.TempDir(), bin: buildPrograms(t)}
	m.addFiles(t, gateHost)
	pages.Run(t, m.shell(t), m.folder, []pages.Step{
		{Command: "install -m 755 $(command -v countersignd) /usr/local/bin/countersignd"},
		{Command: "mkdir " + writable + " && cp /etc/ssl/tls.* " + writable},
		{Command: "set-up-registry --tls-certificate tls.crt --tls-key tls.key && cp " + writable + "/root.crt /etc/ && sed -i s,/etc/countersignd/,/etc/, /etc/registry.yml"},
		{Command: "registry serve /etc/registry.yml >/var/lib/registry.log 2>&1 &"},
		{Command: "countersign key generate file:~/bob && FINGERPRINT=$(countersign key show file:~/bob | head -1)"},
		{Command: "chown -R 65534:65534 " + writable},
		{Command: fmt.Sprintf("mount --bind %[1]s %[1]s && mount -o remount,bind,ro /etc && mount -o remount,bind,ro /usr/local", writable)},
		{Command: fmt.Sprintf("(umask %s; exec %s %s) >/var/lib/gate.log 2>&1 & MAINPID=$!", setting(t, unit, "UMask"), user, setting(t, unit, "ExecStart"))},
		{Command: "await-gate https://registry.example.com && push-image users/alice/app || { cat /var/lib/gate.log; false; }"},
		{Command: "countersign connect --key file:~/bob --no-browser https://registry.example.com >/var/lib/connect.log 2>&1 & CONNECT=$!"},
		{Command: "timeout 30 sh -c 'until " + user + " countersignd approve 2>/dev/null | grep -q SHA256; do sleep 0.1; done'"},
		{Command: "countersignd approve $FINGERPRINT bob 2>&1 | grep -c 'hint: sudo -u nobody countersignd approve'", Want: "1"},
		{Command: user + " countersignd approve $FINGERPRINT bob && wait $CONNECT"},
		{Command: user + " countersignd rotate && " + setting(t, unit, "ExecReload")},
		{Command: "countersign get https://registry.example.com/v2/users/alice/app/tags/list", Want: `{"name":"users/alice/app","tags":["v1"]}`},
		{Command: "find " + writable + " ! -user nobody | wc -l", Want: "0"},
		{Command: "stat -c %a " + writable + "/pending.json", Want: "600"},
		{Command: "kill $MAINPID; wait $MAINPID"},
	})
}
