package proxy_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/otheruser"
)

// TestRule18_OtherUsers lets another user of the machine try the port and the socket.
func TestRule18_OtherUsers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a program as another user")
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("curl is not installed")
	}
	_, p := startRegistry(t, challengetest.Config{})
	port := start(t, p)
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // a mistake of the person who made it
		t.Fatal(err)
	}
	_, p = startRegistry(t, challengetest.Config{})
	socket := serve(t, p, l, "http://localhost")
	for name, args := range map[string][]string{
		"port":   {port.url + "/v2/"},
		"socket": {"--unix-socket", path, socket.url + "/v2/"},
	} {
		for _, uid := range []uint32{0, otheruser.Nobody} {
			cmd := exec.CommandContext(t.Context(), curl, append([]string{"-s", "-w", " status %{http_code}"}, args...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			want := "status 200"
			if uid != 0 {
				want = `user 65534 may not use the proxy of user 0"}]}` + "\n status 403"
			}
			if !strings.HasSuffix(string(out), want) {
				t.Errorf("%s, user %d: %s, want %s", name, uid, out, want)
			}
		}
	}
}

// TestUserOfIPv6Connection has the address in another list.
func TestUserOfIPv6Connection(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	if netip.MustParseAddrPort(l.Addr().String()).Addr().Is4() {
		t.Fatal("the listener has an IPv4 address")
	}
	f := serve(t, p, l, "http://"+l.Addr().String())
	f.want("GET", "/v2/", nil, nil, 200, "")
}
