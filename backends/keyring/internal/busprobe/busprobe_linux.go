package busprobe

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	variable = "DBUS_SESSION_BUS_ADDRESS"
	disabled = "disabled:" // no transport has this name: dialling fails at once

	// A living bus answers in a millisecond, on a busy machine in some tens.
	patience = 500 * time.Millisecond
)

// A Bus is the session bus as it was when the program started.
type Bus struct {
	Address string // that of a bus which answered, else empty
	Err     error  // why there is none; os.ErrDeadlineExceeded if it did not answer
}

var bus, restore = guard()

// Restore puts the environment back as the program was given it, so that its
// children inherit that, and returns what was found.
func Restore() Bus {
	restore()
	return bus
}

func guard() (Bus, func()) {
	given, isSet := os.LookupEnv(variable)
	bus := find(given)
	use := bus.Address
	if use == "" {
		use = disabled
	}
	os.Setenv(variable, use)
	return bus, func() {
		if !isSet {
			os.Unsetenv(variable)
			return
		}
		os.Setenv(variable, given)
	}
}

// find returns the first bus of a list that answers.
func find(addresses string) Bus {
	addresses, err := orDefault(addresses)
	if err != nil {
		return Bus{Err: err}
	}
	var errs []error
	for _, address := range strings.Split(addresses, ";") {
		err := probe(address)
		if err == nil {
			return Bus{Address: address}
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
	}
	return Bus{Err: errors.Join(errs...)}
}

// orDefault knows where systemd puts the bus of a user. It does not start one.
func orDefault(addresses string) (string, error) {
	if addresses != "" && addresses != "autolaunch:" {
		return addresses, nil
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	}
	socket := filepath.Join(dir, "bus")
	if _, err := os.Stat(socket); err != nil {
		return "", fmt.Errorf("%s is not set, and there is no %s", variable, socket)
	}
	return "unix:path=" + socket, nil
}

// probe connects and greets as godbus/dbus will, so that nothing is left on
// which that could hang.
func probe(address string) error {
	socket, err := socketOf(address)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", socket, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	uid := hex.EncodeToString([]byte(strconv.Itoa(os.Getuid())))
	if _, err := fmt.Fprintf(conn, "\x00AUTH EXTERNAL %s\r\n", uid); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "OK ") {
		return fmt.Errorf("the bus refuses user %d", os.Getuid())
	}
	if _, err := conn.Write([]byte("BEGIN\r\n" + hello)); err != nil {
		return err
	}
	_, err = in.ReadByte()
	return err
}

// socketOf takes the addresses that godbus/dbus can dial and that a session bus
// listens on.
func socketOf(address string) (string, error) {
	transport, params, _ := strings.Cut(address, ":")
	if transport == "unix" {
		for _, param := range strings.Split(params, ",") {
			switch key, value, _ := strings.Cut(param, "="); key {
			case "path":
				return value, nil
			case "abstract":
				return "@" + value, nil
			}
		}
	}
	return "", errors.New("only unix:path= and unix:abstract= addresses can be used")
}

// hello is the call of org.freedesktop.DBus.Hello, as the D-Bus specification
// lays it out ("Message Format"): a header, and the fields path, destination,
// interface and member, each aligned to 8 bytes.
const hello = "l\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x6e\x00\x00\x00" +
	"\x01\x01o\x00\x15\x00\x00\x00/org/freedesktop/DBus\x00\x00\x00" +
	"\x06\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00" +
	"\x02\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00" +
	"\x03\x01s\x00\x05\x00\x00\x00Hello\x00\x00\x00"
