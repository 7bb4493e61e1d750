package proxy

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// KnowsUsers reports whether this system tells the user of a TCP connection from this
// machine. Where it does not, set [Proxy.Token].
const KnowsUsers = true

// userOf returns the user id of the program at the other end of conn.
func userOf(conn net.Conn) (int, error) {
	switch conn := conn.(type) {
	case *net.UnixConn:
		return userOfSocket(conn)
	case *net.TCPConn:
		return userOfTCP(conn)
	}
	return 0, errUnknownUser
}

func userOfSocket(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var credentials *unix.Ucred
	var credentialsErr error
	err = raw.Control(func(fd uintptr) {
		credentials, credentialsErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || credentialsErr != nil {
		return 0, errUnknownUser
	}
	return int(credentials.Uid), nil
}

// userOfTCP looks for the other end of conn, which is a socket of this machine too, in the
// kernel's lists (proc_pid_net(5)).
func userOfTCP(conn *net.TCPConn) (int, error) {
	local, errLocal := netip.ParseAddrPort(conn.LocalAddr().String())
	remote, errRemote := netip.ParseAddrPort(conn.RemoteAddr().String())
	if errLocal != nil || errRemote != nil {
		return 0, errUnknownUser
	}
	for _, list := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		if uid, ok := findUser(list, remote, local); ok {
			return uid, nil
		}
	}
	return 0, errUnknownUser
}

// findUser returns the user of the socket from one address to another.
func findUser(list string, from, to netip.AddrPort) (int, bool) {
	f, err := os.Open(list)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[9] == "0" {
			continue // after its program closed it, a socket has no inode, and the list names user 0
		}
		a, errA := parseAddress(fields[1])
		b, errB := parseAddress(fields[2])
		if errA != nil || errB != nil || a != unmapped(from) || b != unmapped(to) {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, err == nil
	}
	return 0, false
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// parseAddress reads "0100007F:1F90". The address is in words of four bytes, each in the
// byte order of the machine.
func parseAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	data, err := hex.DecodeString(address)
	number, errPort := strconv.ParseUint(port, 16, 16)
	if err != nil || errPort != nil || len(data)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("malformed address %q", text)
	}
	for i := 0; i < len(data); i += 4 {
		binary.BigEndian.PutUint32(data[i:], binary.NativeEndian.Uint32(data[i:]))
	}
	ip, ok := netip.AddrFromSlice(data)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("malformed address %q", text)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}
