package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus"

	"github.com/countersign/countersign/backends/keyring/internal/nobus"
	"github.com/countersign/countersign/signer"
)

// By now 99designs/keyring is initialised, since this package imports it.
var _ = restoreBus()

func restoreBus() struct{} {
	nobus.Restore()
	return struct{}{}
}

// A busConn is a connection to the session bus for one operation. It closes when
// the operation's context ends, or later if outlive is called before: then the
// caller of outlive closes it.
type busConn struct {
	*dbus.Conn
	outlive func() bool
}

// dialBus connects to the first address of the session bus on which a bus listens.
func dialBus(ctx context.Context, s Store) (busConn, error) {
	addresses, err := busAddresses()
	if err != nil {
		return busConn{}, dialError(s, err)
	}
	var errs []error
	for _, address := range addresses {
		conn, err := dbus.Dial(address)
		if err == nil {
			return greetBus(ctx, s, conn, address)
		}
		errs = append(errs, fmt.Errorf("%s: %w", withoutGUID(address), err))
	}
	return busConn{}, dialError(s, errs...)
}

// busAddresses returns the addresses in the environment, or where systemd puts
// the bus of a user. It does not start a bus.
func busAddresses() ([]string, error) {
	const variable = "DBUS_SESSION_BUS_ADDRESS"
	if addresses := os.Getenv(variable); addresses != "" && addresses != "autolaunch:" {
		return strings.Split(strings.Trim(addresses, ";"), ";"), nil
	}
	dir := cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/user", strconv.Itoa(os.Getuid())))
	socket := filepath.Join(dir, "bus")
	if _, err := os.Stat(socket); errors.Is(err, fs.ErrPermission) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%s is not set, and there is no %s", variable, socket)
	}
	return []string{"unix:path=" + socket}, nil
}

// withoutGUID shortens an address for an error by the bus's random id.
func withoutGUID(address string) string {
	short, _, _ := strings.Cut(address, ",guid=")
	return short
}

// dialError explains why no bus accepted a connection: the bus is absent, or this
// user may not use it.
func dialError(s Store, errs ...error) error {
	for _, err := range errs {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return refusedBus(s, err)
		case errors.Is(err, syscall.EAGAIN): // too many connections wait to be accepted
			return noAnswer([]Store{s}, "dead-bus", "the D-Bus session bus accepts no connections: %w", err)
		}
	}
	return explain(signer.ErrUnavailable, s, "no-bus", "there is no D-Bus session bus: %s", joinTexts(errs))
}

func refusedBus(s Store, err error) error {
	return explain(signer.ErrDenied, s, "bus-refused", "the D-Bus session bus refuses user %d, as another user's does: %w", os.Getuid(), err)
}

// greetBus authenticates this user. The bus of another user rejects that, or
// closes the connection immediately afterwards.
func greetBus(ctx context.Context, s Store, conn *dbus.Conn, address string) (busConn, error) {
	outlive := context.AfterFunc(ctx, func() { conn.Close() })
	err := conn.Auth(nil)
	if err == nil {
		err = conn.Hello()
	}
	switch {
	case err == nil:
		return busConn{conn, outlive}, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return busConn{}, noAnswer([]Store{s}, "dead-bus", "the D-Bus session bus accepts connections and does not answer: %s", withoutGUID(address))
	case ctx.Err() != nil:
		return busConn{}, ctx.Err()
	}
	conn.Close()
	return busConn{}, refusedBus(s, fmt.Errorf("%s: %w", withoutGUID(address), err))
}

// call calls a method of an object on the bus.
func (c busConn) call(ctx context.Context, service string, object dbus.ObjectPath, method string, args ...any) *dbus.Call {
	return c.Object(service, object).CallWithContext(ctx, method, 0, args...)
}

// bus calls a method of the bus itself.
func (c busConn) bus(ctx context.Context, method string, args ...any) *dbus.Call {
	return c.call(ctx, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus."+method, args...)
}

// owner returns the connection that provides a service, or "" if none does.
func (c busConn) owner(ctx context.Context, service string) string {
	var owner string
	if err := c.bus(ctx, "GetNameOwner", service).Store(&owner); err != nil {
		return ""
	}
	return owner
}

// busError explains an error of a call on our own connection.
func busError(ctx context.Context, s Store, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if ctx.Err() != nil {
		return noAnswer([]Store{s}, "no-answer", "the D-Bus session bus, or the service on it, does not answer")
	}
	return classify(s, err)
}

// startService has the bus start the service of that name if it does not run.
// The bus itself waits for up to 25 seconds.
func startService(ctx context.Context, conn busConn, s Store, timeout time.Duration, name string) error {
	var running bool
	if err := conn.bus(ctx, "NameHasOwner", name).Store(&running); err != nil {
		return busError(ctx, s, err)
	}
	if running {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := conn.bus(limited, "StartServiceByName", name, uint32(0)).Err
	// When ctx ends, the connection may be closed before limited knows of it.
	if errors.Is(cmp.Or(ctx.Err(), limited.Err()), context.DeadlineExceeded) {
		return noAnswer([]Store{s}, "activation", "the bus was asked to start %s, which did not come up within %v", name, timeout)
	}
	return busError(ctx, s, err)
}

// classifyBus explains the errors of D-Bus, its library and the Secret Service.
func classifyBus(s Store, err error) *problem {
	if errors.Is(err, dbus.ErrClosed) || errors.Is(err, io.EOF) {
		return explain(signer.ErrUnavailable, s, "bus-died", "the D-Bus session bus ended in the middle of a call")
	}
	var e dbus.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch strings.TrimPrefix(e.Name, "org.freedesktop.DBus.Error.") {
	case "ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound":
		return explain(signer.ErrUnavailable, s, "no-service", "no program on the D-Bus session bus provides it")
	case "Spawn.ExecFailed", "Spawn.ChildExited", "Spawn.ChildSignaled":
		return explain(signer.ErrUnavailable, s, "service-died", "it did not start: %s", e.Error())
	case "NoReply", "Disconnected":
		return explain(signer.ErrUnavailable, s, "service-died", "it ended in the middle of a call: %s", e.Error())
	case "AccessDenied":
		return explain(signer.ErrDenied, s, "denied", "%s", e.Error())
	case "TimedOut", "Timeout":
		return noAnswer([]Store{s}, "activation", "%s", e.Error())
	case "org.freedesktop.Secret.Error.IsLocked":
		return explain(signer.ErrLocked, s, "locked", "the keyring is locked")
	}
	return damaged(s, "other", "%s: %w", e.Name, err)
}
